/**
 * Lists of prefixes as UPDATE carries them (RFC 4271 §4.3, RFC 4760 §5): a length in bits, then just enough octets.
 *
 *   +---------------+-----------------------------------------------+
 *   | Length (bits) |  Prefix (ceil(Length / 8) octets)             |  …repeated
 *   +---------------+-----------------------------------------------+
 *
 * Bits behind Length are of no meaning when received and zero when sent. No ADD-PATH identifiers (RFC 7911).
 */
import { type Family, maxLength, type Prefix, prefixFromBytes, prefixLength, prefixToBytes } from '#net';
import type { Writer } from './writer.ts';

export interface Span {
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

/** The prefixes in bytes[start, end), or undefined when they are syntactically incorrect · RFC 7606 §5.3. */
export function decodeNlri(family: Family, bytes: Uint8Array, span: Span): Prefix[] | undefined {
  const limit = maxLength(family);
  const prefixes: Prefix[] = [];
  let at = span.start;
  while (at < span.end) {
    const length = bytes[at] ?? 0;
    const next = at + 1 + ((length + 7) >>> 3);
    if (length > limit || next > span.end) return undefined;
    prefixes.push(prefixFromBytes(family, bytes, at + 1, length));
    at = next;
  }
  return prefixes;
}

/** Appends one prefix. */
export function encodeNlri(prefix: Prefix, writer: Writer): void {
  writer.u8(prefixLength(prefix)).bytes(prefixToBytes(prefix));
}

/** The octets encodeNlri appends for this prefix. */
export function nlriBytes(prefix: Prefix): number {
  return 1 + ((prefixLength(prefix) + 7) >>> 3);
}
