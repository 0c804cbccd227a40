/**
 * CLUSTER_LIST (10): the reflectors a route has passed, nearest first, so that a loop shows (RFC 4456 §8).
 *
 *   +---------------------------------------------------------------+
 *   |                          Cluster ID                           |  …repeated
 *   +---------------------------------------------------------------+
 */
import { ipFromBytes, ipToBytes } from '#net';
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const clusterList: AttributeRow = {
  code: AttributeCode.clusterList,
  name: 'CLUSTER_LIST',
  rfc: 'RFC 4456 §8',
  class: AttributeClass.optionalNonTransitive,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.10
  mandatory: 'never',
  scope: 'internal',
  decode: (value, draft) => {
    if (value.length === 0 || value.length % 4 !== 0) {
      const reason = `length is ${value.length}, expected a multiple of 4`;
      return { subcode: UpdateSubcode.attributeLengthError, reason };
    }
    const count = value.length / 4;
    draft.clusterList = Array.from({ length: count }, (_, index) =>
      ipFromBytes(value.subarray(index * 4, index * 4 + 4)),
    );
    return undefined;
  },
  encode: (attributes) => {
    if (attributes.clusterList.length === 0) return undefined;
    const writer = new Writer();
    for (const cluster of attributes.clusterList) writer.bytes(ipToBytes(cluster));
    return writer.finish();
  },
};
