/**
 * An UPDATE without its prefixes: what stands before and behind them, and which lengths count them (RFC 4271 §4.3,
 * RFC 4760). Made once per attribute set and update group, then filled with any number of prefixes.
 */
import { type Family, familyOf, type Ip, ipToBytes } from '#net';
import { AttributeCode, HEADER_BYTES, MessageType } from '../iana.ts';
import type { PathAttributes } from './attribute/attributes.ts';
import { encodeAttributeList } from './attribute/list.ts';
import { encodeMpReachHead } from './attribute/mp-reach.ts';
import { encodeMpUnreachHead } from './attribute/mp-unreach.ts';
import { AttributeClass } from './attribute/row.ts';
import type { WireContext } from './context.ts';
import { maxMessageBytes, startMessage } from './header.ts';
import type { Writer } from './writer.ts';

const EXTENDED_LENGTH = 0x10;
const NOTHING = new Uint8Array(0);

/** A two-octet length in `before`: `add` plus the octets of the prefixes. */
interface LengthField {
  readonly at: number;
  readonly add: number;
}

export interface UpdateTemplate {
  /** From the header on to the first prefix; the message length, at 16, is always to be filled in. */
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly lengths: readonly LengthField[];
  /** Octets there are for prefixes. */
  readonly room: number;
}

/** Announces prefixes of one family · IPv4 with an IPv4 next hop in the message's own field, all else in MP_REACH_NLRI. */
export function announceTemplate(
  route: { readonly attributes: PathAttributes; readonly nextHop: Ip; readonly family: Family },
  context: WireContext,
): UpdateTemplate {
  const { attributes, nextHop, family } = route;
  if (family === 6 && familyOf(nextHop) === 4) {
    throw new RangeError(`next hop ${nextHop} of ipv6 routes: expected an ipv6 address`);
  }
  if (familyOf(nextHop) === 4) {
    const hop = { flags: AttributeClass.wellKnown, code: AttributeCode.nextHop, value: ipToBytes(nextHop) };
    const list = encodeAttributeList(attributes, context, [hop]);
    const before = startMessage(MessageType.update).u16(0).u16(list.length).bytes(list);
    return finish({ before, after: NOTHING, lengths: [] }, context);
  }
  const list = encodeAttributeList(attributes, context);
  const head = encodeMpReachHead(family, nextHop);
  return mpTemplate({ code: AttributeCode.mpReach, head, after: list }, context);
}

/** Withdraws prefixes of one family. */
export function withdrawTemplate(family: Family, context: WireContext): UpdateTemplate {
  if (family === 6) {
    return mpTemplate({ code: AttributeCode.mpUnreach, head: encodeMpUnreachHead(6), after: NOTHING }, context);
  }
  const before = startMessage(MessageType.update).u16(0);
  return finish({ before, after: new Uint8Array(2), lengths: [{ at: HEADER_BYTES, add: 0 }] }, context);
}

function mpTemplate(
  attribute: { readonly code: number; readonly head: Uint8Array; readonly after: Uint8Array },
  context: WireContext,
): UpdateTemplate {
  const { code, head, after } = attribute;
  const flags = AttributeClass.optionalNonTransitive | EXTENDED_LENGTH;
  const before = startMessage(MessageType.update).u16(0).u16(0).u8(flags).u8(code).u16(0).bytes(head);
  const lengths = [
    { at: HEADER_BYTES + 2, add: 4 + head.length + after.length },
    { at: HEADER_BYTES + 6, add: head.length },
  ];
  return finish({ before, after, lengths }, context);
}

function finish(
  parts: { readonly before: Writer; readonly after: Uint8Array; readonly lengths: readonly LengthField[] },
  context: WireContext,
): UpdateTemplate {
  const { before, after, lengths } = parts;
  const room = maxMessageBytes(context.extendedMessages) - before.length - after.length;
  return { before: before.finish(), after, lengths, room };
}
