/** ATOMIC_AGGREGATE (6): some AS left ASes out of the path when it aggregated (RFC 4271 §5.1.6). It has no value. */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const atomicAggregate: AttributeRow = {
  code: AttributeCode.atomicAggregate,
  name: 'ATOMIC_AGGREGATE',
  rfc: 'RFC 4271 §5.1.6',
  class: AttributeClass.wellKnown,
  malformed: 'discard', // RFC 7606 §7.6
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length !== 0) {
      return { subcode: UpdateSubcode.attributeLengthError, reason: `length is ${value.length}, expected 0` };
    }
    draft.atomicAggregate = true;
    return undefined;
  },
  encode: (attributes) => (attributes.atomicAggregate ? new Uint8Array(0) : undefined),
};
