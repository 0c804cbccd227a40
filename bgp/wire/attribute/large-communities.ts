/**
 * LARGE_COMMUNITY (32): tags with room for a four-octet AS (RFC 8092 §3).
 *
 *   +---------------------------------------------------------------+
 *   |                     Global Administrator                      |
 *   +---------------------------------------------------------------+
 *   |                       Local Data Part 1                       |
 *   +---------------------------------------------------------------+
 *   |                       Local Data Part 2                       |  …repeated
 *   +---------------------------------------------------------------+
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { readU32 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const largeCommunities: AttributeRow = {
  code: AttributeCode.largeCommunities,
  name: 'LARGE_COMMUNITY',
  rfc: 'RFC 8092',
  class: AttributeClass.optionalTransitive,
  malformed: 'treat-as-withdraw', // RFC 8092 §6
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length === 0 || value.length % 12 !== 0) {
      const reason = `length is ${value.length}, expected a multiple of 12`;
      return { subcode: UpdateSubcode.optionalAttributeError, reason };
    }
    draft.largeCommunities = Array.from({ length: value.length / 12 }, (_, index) => ({
      global: readU32(value, index * 12),
      local1: readU32(value, index * 12 + 4),
      local2: readU32(value, index * 12 + 8),
    }));
    return undefined;
  },
  encode: (attributes) => {
    if (attributes.largeCommunities.length === 0) return undefined;
    const writer = new Writer();
    for (const { global, local1, local2 } of attributes.largeCommunities) writer.u32(global).u32(local1).u32(local2);
    return writer.finish();
  },
};
