/**
 * ORIGINATOR_ID (9): the identifier of the router a reflected route came from, so that it can tell its own (RFC 4456 §8).
 *
 *   +---------------------------------------------------------------+
 *   |                        BGP Identifier                         |
 *   +---------------------------------------------------------------+
 */
import { ipFromBytes, ipToBytes } from '#net';
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const originatorId: AttributeRow = {
  code: AttributeCode.originatorId,
  name: 'ORIGINATOR_ID',
  rfc: 'RFC 4456 §8',
  class: AttributeClass.optionalNonTransitive,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.9
  mandatory: 'never',
  scope: 'internal',
  decode: (value, draft) => {
    if (value.length !== 4) {
      return { subcode: UpdateSubcode.attributeLengthError, reason: `length is ${value.length}, expected 4` };
    }
    draft.originatorId = ipFromBytes(value);
    return undefined;
  },
  encode: (attributes) => (attributes.originatorId === undefined ? undefined : ipToBytes(attributes.originatorId)),
};
