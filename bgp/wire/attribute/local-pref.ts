/**
 * LOCAL_PREF (5): how much this AS prefers the route, higher first (RFC 4271 §5.1.5). It never crosses an AS border.
 * Absent from an internal route it is not an error here: the decision process assumes its default.
 *
 *   +---------------------------------------------------------------+
 *   |                  Preference, 32-bit unsigned                  |
 *   +---------------------------------------------------------------+
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { readU32 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const localPref: AttributeRow = {
  code: AttributeCode.localPref,
  name: 'LOCAL_PREF',
  rfc: 'RFC 4271 §5.1.5',
  class: AttributeClass.wellKnown,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.5
  mandatory: 'never',
  scope: 'internal',
  decode: (value, draft) => {
    if (value.length !== 4) {
      return { subcode: UpdateSubcode.attributeLengthError, reason: `length is ${value.length}, expected 4` };
    }
    draft.localPref = readU32(value, 0);
    return undefined;
  },
  encode: (attributes) =>
    attributes.localPref === undefined ? undefined : new Writer().u32(attributes.localPref).finish(),
};
