/**
 * The path attributes of one UPDATE (RFC 4271 §4.3): walks the list, hands each value to its row, and applies RFC 7606 to
 * what is wrong. Nothing is thrown but what must end the session; every other fault is a value beside the draft.
 *
 *   +---------------+---------------+-------------------------------+
 *   |O|T|P|E| unused|   Type Code   |  Length (1 octet, 2 if E)     |  Value …
 *   +---------------+---------------+-------------------------------+
 *     Optional, Transitive, Partial, Extended Length; unused bits are ignored
 */
import { WireError } from '../../errors.ts';
import { AttributeCode, ErrorCode, UpdateSubcode } from '../../iana.ts';
import type { WireContext } from '../context.ts';
import type { Span } from '../nlri.ts';
import { readU16 } from '../reader.ts';
import { Writer } from '../writer.ts';
import type { PathAttributes, UnknownAttribute } from './attributes.ts';
import { AttributeClass, type AttributeDraft, type AttributeRow, type Fault, type Treatment } from './row.ts';
import { ATTRIBUTE_TABLE, attributeName, attributeRow, KEPT_INSIDE } from './table.ts';

const OPTIONAL = 0x80;
const TRANSITIVE = 0x40;
const PARTIAL = 0x20;
const EXTENDED_LENGTH = 0x10;
const CLASS_BITS = OPTIONAL | TRANSITIVE;

/**
 * An attribute error the session survives · RFC 7606 §2. The treatment is already applied to the UpdateMessage that
 * carries it: a discarded attribute is absent, routes treated as withdrawn stand in `withdrawn`. Resets are thrown.
 */
export interface AttributeError {
  /** Attribute type code; 0 when the list itself is broken. */
  readonly attribute: number;
  readonly treatment: Exclude<Treatment, 'reset'>;
  readonly reason: string;
  /** The NOTIFICATION that RFC 4271 alone would have asked for; for logs and metrics. Subcode 0: none. */
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** What a list of attributes held. */
export interface AttributeList {
  readonly draft: AttributeDraft;
  readonly unknown: readonly UnknownAttribute[];
  /** Known optional transitive attributes that came with the Partial bit. */
  readonly partial: readonly number[];
  /** Codes of all attributes met, right or wrong. */
  readonly seen: ReadonlySet<number>;
  readonly errors: readonly AttributeError[];
}

/** One attribute where it stands in the message. */
interface Item {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
  /** Flags, code, length and value: the data RFC 4271 §6.3 wants in a NOTIFICATION. */
  readonly whole: Uint8Array;
}

/** Reads the attributes in bytes[start, end); throws WireError 3/x for what RFC 7606 still resets a session for. */
export function decodeAttributeList(bytes: Uint8Array, span: Span, context: WireContext): AttributeList {
  const draft: AttributeDraft = {};
  const unknown: UnknownAttribute[] = [];
  const partial: number[] = [];
  const seen = new Set<number>();
  const errors: AttributeError[] = [];
  let at = span.start;
  while (at < span.end) {
    const item = itemAt(bytes, at, span.end);
    if (item === undefined) {
      const reason = `attribute at offset ${at - span.start} reaches past the list`;
      errors.push(listError(reason)); // RFC 7606 §4: the rest cannot be read, the NLRI field can
      break;
    }
    at += item.whole.length;
    const row = attributeRow(item.code);
    if (seen.has(item.code)) {
      errors.push(duplicate(item));
    } else if (row === undefined) {
      const kept = keepUnknown(item);
      if (kept !== undefined) unknown.push(kept);
    } else {
      const error = decodeKnown(row, item, { draft, context });
      if (error !== undefined) errors.push(error);
      else if (row.class === AttributeClass.optionalTransitive && (item.flags & PARTIAL) !== 0) partial.push(row.code);
    }
    seen.add(item.code);
  }
  return { draft, unknown, partial, seen, errors };
}

/** The attributes of a route as bytes, in ascending order of code; `extra` are further ones, such as NEXT_HOP. */
export function encodeAttributeList(
  attributes: PathAttributes,
  context: WireContext,
  extra: readonly UnknownAttribute[] = [],
): Uint8Array {
  const items: UnknownAttribute[] = [...extra];
  for (const row of ATTRIBUTE_TABLE) {
    if (row.scope === 'internal' && context.peerType === 'ebgp') continue;
    const value = row.encode?.(attributes, context);
    if (value === undefined) continue;
    const partial = attributes.partial?.includes(row.code) === true ? PARTIAL : 0;
    items.push({ flags: row.class | partial, code: row.code, value });
  }
  for (const item of attributes.unknown) {
    if (context.peerType === 'ebgp' && KEPT_INSIDE.has(item.code)) continue;
    items.push({ ...item, flags: CLASS_BITS | PARTIAL });
  }
  items.sort((a, b) => a.code - b.code);
  const writer = new Writer();
  for (const item of items) encodeAttribute(item, writer);
  return writer.finish();
}

/** Appends one attribute, its length in two octets only when one does not hold it. */
function encodeAttribute(item: UnknownAttribute, writer: Writer): void {
  const { flags, code, value } = item;
  if (value.length > 255) {
    writer
      .u8(flags | EXTENDED_LENGTH)
      .u8(code)
      .u16(value.length)
      .bytes(value);
  } else {
    writer.u8(flags).u8(code).u8(value.length).bytes(value);
  }
}

/** An error of the list as a whole, treated as withdraw · RFC 7606 §4. */
function listError(reason: string): AttributeError {
  return {
    attribute: 0,
    treatment: 'treat-as-withdraw',
    reason,
    code: ErrorCode.updateMessage,
    subcode: UpdateSubcode.malformedAttributeList,
    data: new Uint8Array(0),
  };
}

/** The attribute that starts at `at`, undefined when it does not end inside the list · RFC 7606 §4. */
function itemAt(bytes: Uint8Array, at: number, end: number): Item | undefined {
  const flags = bytes[at] ?? 0;
  const extended = (flags & EXTENDED_LENGTH) !== 0;
  const start = at + (extended ? 4 : 3);
  if (start > end) return undefined;
  const length = extended ? readU16(bytes, at + 2) : (bytes[at + 2] ?? 0);
  const stop = start + length;
  if (stop > end) return undefined;
  return {
    flags,
    code: bytes[at + 1] ?? 0,
    value: bytes.subarray(start, stop),
    whole: bytes.subarray(at, stop),
  };
}

function decodeKnown(
  row: AttributeRow,
  item: Item,
  { draft, context }: { readonly draft: AttributeDraft; readonly context: WireContext },
): AttributeError | undefined {
  if ((item.flags & CLASS_BITS) !== row.class) return treat(flagsFault(row, item.flags), row, item);
  if (row.scope === 'internal' && context.peerType === 'ebgp') {
    // RFC 7606 §7.5, §7.9, §7.10: not an error of the route, whatever the value.
    return treat({ subcode: 0, reason: 'was sent by another as', treatment: 'discard' }, row, item);
  }
  const fault = row.decode(item.value, draft, context);
  return fault === undefined ? undefined : treat(fault, row, item);
}

/** RFC 7606 §3(c); for the two that carry prefixes wrong flags make them incorrect, §5.3. */
function flagsFault(row: AttributeRow, flags: number): Fault {
  const reason = `flags are 0x${flags.toString(16).padStart(2, '0')}, expected class 0x${row.class.toString(16)}`;
  return row.malformed === 'reset'
    ? { subcode: UpdateSubcode.optionalAttributeError, reason }
    : { subcode: UpdateSubcode.attributeFlagsError, reason, treatment: 'treat-as-withdraw' };
}

function treat(fault: Fault, row: AttributeRow, item: Item): AttributeError {
  const treatment = fault.treatment ?? row.malformed;
  const reason = `${row.name}: ${fault.reason}`;
  // RFC 4271 §6.3 asks for no data with a malformed AS_PATH.
  const data = fault.subcode === UpdateSubcode.malformedAsPath ? new Uint8Array(0) : item.whole.slice();
  if (treatment === 'reset') throw new WireError(ErrorCode.updateMessage, fault.subcode, reason, data);
  return { attribute: item.code, treatment, reason, code: ErrorCode.updateMessage, subcode: fault.subcode, data };
}

/** RFC 7606 §3(g): the first one stands, except where two lists of prefixes leave no way to tell which is meant. */
function duplicate(item: Item): AttributeError {
  const subcode = UpdateSubcode.malformedAttributeList;
  const reason = `${attributeName(item.code)} appears more than once`;
  if (item.code === AttributeCode.mpReach || item.code === AttributeCode.mpUnreach) {
    throw new WireError(ErrorCode.updateMessage, subcode, reason);
  }
  const data = item.whole.slice();
  return { attribute: item.code, treatment: 'discard', reason, code: ErrorCode.updateMessage, subcode, data };
}

/** RFC 4271 §5, §6.3: well-known means we would have to know it; optional ones pass through us if transitive. */
function keepUnknown(item: Item): UnknownAttribute | undefined {
  if ((item.flags & OPTIONAL) === 0) {
    const reason = `attribute ${item.code} claims to be well-known and is not`;
    const subcode = UpdateSubcode.unrecognizedWellKnownAttribute;
    throw new WireError(ErrorCode.updateMessage, subcode, reason, item.whole.slice());
  }
  if ((item.flags & TRANSITIVE) === 0) return undefined;
  return { flags: CLASS_BITS | PARTIAL, code: item.code, value: item.value.slice() };
}
