/**
 * AGGREGATOR (7): which speaker formed an aggregate (RFC 4271 §5.1.7), its AS in two or four octets as the session agreed
 * (RFC 6793 §4.1).
 *
 *   +-------------------------------+-------------------------------+
 *   |        AS, 2 or 4 octets      |   IPv4 address (identifier)   |
 *   +-------------------------------+-------------------------------+
 */
import { ipFromBytes, ipToBytes } from '#net';
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { readU16, readU32 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { type AsWidth, toTwoOctets } from './as-path.ts';
import type { Aggregator } from './attributes.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const aggregator: AttributeRow = {
  code: AttributeCode.aggregator,
  name: 'AGGREGATOR',
  rfc: 'RFC 4271 §5.1.7, RFC 6793 §4',
  class: AttributeClass.optionalTransitive,
  malformed: 'discard', // RFC 7606 §7.7
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft, context) => {
    const found = decodeAggregator(value, context.fourOctetAs ? 4 : 2);
    if (typeof found === 'string') return { subcode: UpdateSubcode.optionalAttributeError, reason: found };
    draft.aggregator = found;
    return undefined;
  },
  encode: (attributes, context) =>
    attributes.aggregator && encodeAggregator(attributes.aggregator, context.fourOctetAs ? 4 : 2),
};

/** The aggregator, or in words why the value is malformed · RFC 7606 §7.7, AS 0 RFC 7607 §2. */
export function decodeAggregator(value: Uint8Array, width: AsWidth): Aggregator | string {
  if (value.length !== width + 4) return `length is ${value.length}, expected ${width + 4}`;
  const as = width === 4 ? readU32(value, 0) : readU16(value, 0);
  return as === 0 ? 'as 0 is reserved' : { as, ip: ipFromBytes(value.subarray(width)) };
}

/** The value of AGGREGATOR or AS4_AGGREGATOR. */
export function encodeAggregator(value: Aggregator, width: AsWidth): Uint8Array {
  const writer = new Writer();
  if (width === 4) writer.u32(value.as);
  else writer.u16(toTwoOctets(value.as));
  return writer.bytes(ipToBytes(value.ip)).finish();
}
