/**
 * Writes UPDATEs: as few messages as hold the changes, none longer than the session allows (RFC 4271 §4.3, RFC 8654).
 * One message carries one kind of prefixes only, and MP attributes come first in it (RFC 7606 §5.1), so that a receiver
 * that stumbles over an attribute still finds the prefixes. IPv4 goes in the message's own fields, IPv6 in MP_REACH_NLRI
 * and MP_UNREACH_NLRI. Withdrawals come out before announcements.
 */
import { type Family, familyOf, type Ip, ipToBytes, type Prefix, prefixFamily } from '#net';
import { AttributeCode, HEADER_BYTES, MessageType } from '../iana.ts';
import type { PathAttributes } from './attribute/attributes.ts';
import { encodeAttributeList } from './attribute/list.ts';
import { encodeMpReachHead } from './attribute/mp-reach.ts';
import { encodeMpUnreachHead } from './attribute/mp-unreach.ts';
import { AttributeClass } from './attribute/row.ts';
import type { WireContext } from './context.ts';
import { finishMessage, maxMessageBytes, startMessage } from './header.ts';
import { encodeNlri, nlriBytes } from './nlri.ts';
import { Writer } from './writer.ts';

/** Prefixes of one family that share next hop and attributes. */
export interface AnnouncedGroup {
  readonly attributes: PathAttributes;
  readonly family: Family;
  /** Of the same family; an IPv6 one for IPv4 prefixes goes in MP_REACH_NLRI and needs RFC 8950 to be negotiated. */
  readonly nextHop: Ip;
  readonly prefixes: readonly Prefix[];
}

/** What has to be told to a peer. */
export interface Changes {
  /** Both families mixed. */
  readonly withdrawn: readonly Prefix[];
  readonly announced: readonly AnnouncedGroup[];
}

/** Header and the two length fields. */
const FIXED_BYTES = HEADER_BYTES + 4;
/** Flags, code and a two-octet length. */
const LONG_ATTRIBUTE_HEAD = 4;
const EXTENDED_LENGTH = 0x10;
const NOTHING = new Uint8Array(0);

/**
 * The messages that tell a peer `changes`. A group whose attributes leave no room for a prefix is withdrawn instead,
 * since it cannot be sent and the peer must not keep what it had (RFC 8654 §4).
 */
export function encodeUpdates(changes: Changes, context: WireContext): Uint8Array[] {
  const limit = maxMessageBytes(context.extendedMessages);
  const groups = changes.announced.map((group) => encodeGroup(group, context, limit));
  const tooLarge = changes.announced.filter((_, index) => groups[index] === undefined);
  const withdrawn = [...changes.withdrawn, ...tooLarge.flatMap((group) => group.prefixes)];
  return [...encodeWithdrawals(withdrawn, limit), ...groups.flatMap((messages) => messages ?? [])];
}

/** The End-of-RIB marker of a family · RFC 4724 §2. */
export function encodeEndOfRib(family: Family): Uint8Array {
  const attributes =
    family === 4 ? NOTHING : longAttribute(AttributeCode.mpUnreach, encodeMpUnreachHead(family), NOTHING);
  return assemble({ withdrawn: NOTHING, attributes, nlri: NOTHING });
}

function encodeWithdrawals(withdrawn: readonly Prefix[], limit: number): Uint8Array[] {
  const ipv4 = withdrawn.filter((prefix) => prefixFamily(prefix) === 4);
  const ipv6 = withdrawn.filter((prefix) => prefixFamily(prefix) === 6);
  const head = encodeMpUnreachHead(6);
  const mpRoom = limit - FIXED_BYTES - LONG_ATTRIBUTE_HEAD - head.length;
  return [
    ...cut(ipv4, limit - FIXED_BYTES).map((nlri) => assemble({ withdrawn: nlri, attributes: NOTHING, nlri: NOTHING })),
    ...cut(ipv6, mpRoom).map((nlri) => {
      const attributes = longAttribute(AttributeCode.mpUnreach, head, nlri);
      return assemble({ withdrawn: NOTHING, attributes, nlri: NOTHING });
    }),
  ];
}

/** The messages of one group, undefined when its attributes are too large for any. */
function encodeGroup(group: AnnouncedGroup, context: WireContext, limit: number): Uint8Array[] | undefined {
  const { attributes, family, nextHop, prefixes } = group;
  if (prefixes.length === 0) return [];
  if (family === 6 && familyOf(nextHop) === 4) {
    throw new RangeError(`next hop ${nextHop} of ipv6 routes: expected an ipv6 address`);
  }
  const largest = prefixes.reduce((most, prefix) => Math.max(most, nlriBytes(prefix)), 0);
  if (familyOf(nextHop) === 4) {
    const hop = { flags: AttributeClass.wellKnown, code: AttributeCode.nextHop, value: ipToBytes(nextHop) };
    const list = encodeAttributeList(attributes, context, [hop]);
    const room = limit - FIXED_BYTES - list.length;
    if (room < largest) return undefined;
    return cut(prefixes, room).map((nlri) => assemble({ withdrawn: NOTHING, attributes: list, nlri }));
  }
  const list = encodeAttributeList(attributes, context);
  const head = encodeMpReachHead(family, nextHop);
  const room = limit - FIXED_BYTES - LONG_ATTRIBUTE_HEAD - head.length - list.length;
  if (room < largest) return undefined;
  return cut(prefixes, room).map((nlri) => {
    const reach = longAttribute(AttributeCode.mpReach, head, nlri);
    return assemble({ withdrawn: NOTHING, attributes: concat(reach, list), nlri: NOTHING });
  });
}

/** The prefixes as NLRI, in pieces of at most `room` bytes. */
function cut(prefixes: readonly Prefix[], room: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let writer = new Writer();
  for (const prefix of prefixes) {
    if (writer.length + nlriBytes(prefix) > room) {
      pieces.push(writer.finish());
      writer = new Writer();
    }
    encodeNlri(prefix, writer);
  }
  if (writer.length > 0) pieces.push(writer.finish());
  return pieces;
}

/** MP_REACH_NLRI or MP_UNREACH_NLRI, always with the two-octet length so that its size is known beforehand. */
function longAttribute(code: number, head: Uint8Array, nlri: Uint8Array): Uint8Array {
  const flags = AttributeClass.optionalNonTransitive | EXTENDED_LENGTH;
  const writer = new Writer()
    .u8(flags)
    .u8(code)
    .u16(head.length + nlri.length);
  return writer.bytes(head).bytes(nlri).finish();
}

function assemble(fields: {
  readonly withdrawn: Uint8Array;
  readonly attributes: Uint8Array;
  readonly nlri: Uint8Array;
}): Uint8Array {
  const { withdrawn, attributes, nlri } = fields;
  const writer = startMessage(MessageType.update).u16(withdrawn.length).bytes(withdrawn);
  return finishMessage(writer.u16(attributes.length).bytes(attributes).bytes(nlri));
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
