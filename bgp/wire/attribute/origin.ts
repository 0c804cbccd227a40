/**
 * ORIGIN (1): how the route entered BGP (RFC 4271 §5.1.1).
 *
 *   +---------------+
 *   |     Origin    |   0 IGP, 1 EGP, 2 INCOMPLETE
 *   +---------------+
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import type { Origin } from './attributes.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

const ORIGINS: readonly Origin[] = ['igp', 'egp', 'incomplete'];

export const origin: AttributeRow = {
  code: AttributeCode.origin,
  name: 'ORIGIN',
  rfc: 'RFC 4271 §5.1.1',
  class: AttributeClass.wellKnown,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.1
  mandatory: 'with-routes',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length !== 1) {
      return { subcode: UpdateSubcode.attributeLengthError, reason: `length is ${value.length}, expected 1` };
    }
    const found = ORIGINS[value[0] ?? 0];
    if (found === undefined) return { subcode: UpdateSubcode.invalidOrigin, reason: `value is ${value[0]}` };
    draft.origin = found;
    return undefined;
  },
  encode: (attributes) => Uint8Array.of(ORIGINS.indexOf(attributes.origin)),
};
