/**
 * COMMUNITIES (8): tags on a route, 32 bits each, by custom an AS and a number (RFC 1997).
 *
 *   +-------------------------------+-------------------------------+
 *   |               AS              |             Value             |  …repeated
 *   +-------------------------------+-------------------------------+
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { readU32 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const communities: AttributeRow = {
  code: AttributeCode.communities,
  name: 'COMMUNITIES',
  rfc: 'RFC 1997',
  class: AttributeClass.optionalTransitive,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.8
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length === 0 || value.length % 4 !== 0) {
      const reason = `length is ${value.length}, expected a multiple of 4`;
      return { subcode: UpdateSubcode.optionalAttributeError, reason };
    }
    draft.communities = Array.from({ length: value.length / 4 }, (_, index) => readU32(value, index * 4));
    return undefined;
  },
  encode: (attributes) => {
    if (attributes.communities.length === 0) return undefined;
    const writer = new Writer();
    for (const community of attributes.communities) writer.u32(community);
    return writer.finish();
  },
};
