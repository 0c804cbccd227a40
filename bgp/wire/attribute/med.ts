/**
 * MULTI_EXIT_DISC (4): which of several links to one neighbouring AS to prefer, lower first (RFC 4271 §5.1.4).
 *
 *   +---------------------------------------------------------------+
 *   |                    Metric, 32-bit unsigned                    |
 *   +---------------------------------------------------------------+
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { readU32 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const med: AttributeRow = {
  code: AttributeCode.med,
  name: 'MULTI_EXIT_DISC',
  rfc: 'RFC 4271 §5.1.4',
  class: AttributeClass.optionalNonTransitive,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.4
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length !== 4) {
      return { subcode: UpdateSubcode.attributeLengthError, reason: `length is ${value.length}, expected 4` };
    }
    draft.med = readU32(value, 0);
    return undefined;
  },
  encode: (attributes) => (attributes.med === undefined ? undefined : new Writer().u32(attributes.med).finish()),
};
