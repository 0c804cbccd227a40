/**
 * EXTENDED COMMUNITIES (16): tags of eight octets (RFC 4360 §2). Carried as they are; nothing here acts on one.
 *
 *   +---------------+---------------+-------------------------------+
 *   |   Type high   |   Type low    |        Value (6 octets) …     |  …repeated
 *   +---------------+---------------+-------------------------------+
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const extendedCommunities: AttributeRow = {
  code: AttributeCode.extendedCommunities,
  name: 'EXTENDED COMMUNITIES',
  rfc: 'RFC 4360 §2',
  class: AttributeClass.optionalTransitive,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.14
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length === 0 || value.length % 8 !== 0) {
      const reason = `length is ${value.length}, expected a multiple of 8`;
      return { subcode: UpdateSubcode.optionalAttributeError, reason };
    }
    const count = value.length / 8;
    draft.extendedCommunities = Array.from({ length: count }, (_, index) => value.slice(index * 8, index * 8 + 8));
    return undefined;
  },
  encode: (attributes) => {
    if (attributes.extendedCommunities.length === 0) return undefined;
    const writer = new Writer();
    for (const community of attributes.extendedCommunities) writer.bytes(community);
    return writer.finish();
  },
};
