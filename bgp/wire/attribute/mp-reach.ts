/**
 * MP_REACH_NLRI (14): routes of any family with their next hop (RFC 4760 §3). For IPv6 that is a global address, or a
 * global and a link-local one (RFC 2545 §3; `::` in the global's place when there is none, as BIRD sends). IPv4 routes
 * may have an IPv6 next hop only where both sides said so (RFC 8950). Routes of families nobody negotiated are ignored.
 *
 *   +-------------------------------+---------------+---------------+
 *   |              AFI              |      SAFI     | Next Hop Len  |
 *   +-------------------------------+---------------+---------------+
 *   |  Next hop, Next Hop Len octets                                |
 *   +---------------+-----------------------------------------------+
 *   |   Reserved    |  NLRI (to the attribute's end)                |
 *   +---------------+-----------------------------------------------+
 *
 * When the prefixes cannot be found for certain there is nothing to withdraw, and the session must end (RFC 7606 §3(j)).
 */
import { type Family, type Ip, ipFromBytes, ipToBytes } from '#net';
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import type { WireContext } from '../context.ts';
import { fromAfiSafi, toAfiSafi } from '../family.ts';
import { decodeNlri } from '../nlri.ts';
import { readU16 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { checkNextHop } from './next-hop.ts';
import { AttributeClass, type AttributeDraft, type AttributeRow, type Fault } from './row.ts';

/** AFI, SAFI, next hop length and the reserved octet. */
const FIXED_BYTES = 5;

export const mpReach: AttributeRow = {
  code: AttributeCode.mpReach,
  name: 'MP_REACH_NLRI',
  rfc: 'RFC 4760 §3, RFC 2545 §3, RFC 8950',
  class: AttributeClass.optionalNonTransitive,
  malformed: 'reset', // RFC 7606 §7.11
  mandatory: 'never',
  scope: 'any',
  decode: decodeMpReach,
};

function decodeMpReach(value: Uint8Array, draft: AttributeDraft, context: WireContext): Fault | undefined {
  const hopLength = value[3] ?? 0;
  if (value.length < FIXED_BYTES + hopLength) {
    return incorrect(`${value.length} bytes cannot hold a next hop of ${hopLength}`);
  }
  const afi = readU16(value, 0);
  const safi = value[2] ?? 0;
  const family = fromAfiSafi(afi, safi);
  if (family === undefined || !context.families.includes(family)) {
    draft.ignoredFamily = `${afi}/${safi}`;
    return undefined;
  }
  if (!isHopLength(family, hopLength)) return incorrect(`next hop length is ${hopLength}`);
  const prefixes = decodeNlri(family, value, { start: FIXED_BYTES + hopLength, end: value.length });
  if (prefixes === undefined) return incorrect('prefixes are syntactically incorrect');
  const address = chooseAddress(value.subarray(4, 4 + hopLength));
  draft.mpReach = { family, nextHop: ipFromBytes(address), prefixes };
  if (family === 4 && address.length === 16 && context.extendedNextHop !== true) {
    return {
      subcode: UpdateSubcode.invalidNextHop,
      reason: 'ipv6 next hop of ipv4 routes was not negotiated',
      treatment: 'treat-as-withdraw',
    };
  }
  return checkNextHop(address);
}

/** The value up to its prefixes, for the packer. */
export function encodeMpReachHead(family: Family, nextHop: Ip): Uint8Array {
  const { afi, safi } = toAfiSafi(family);
  const address = ipToBytes(nextHop);
  return new Writer().u16(afi).u8(safi).u8(address.length).bytes(address).u8(0).finish();
}

function isHopLength(family: Family, length: number): boolean {
  return length === 16 || length === 32 || (family === 4 && length === 4);
}

/** Of a pair the global address, unless it is `::`. */
function chooseAddress(hop: Uint8Array): Uint8Array {
  if (hop.length !== 32) return hop;
  const global = hop.subarray(0, 16);
  return global.every((byte) => byte === 0) ? hop.subarray(16) : global;
}

function incorrect(reason: string): Fault {
  return { subcode: UpdateSubcode.optionalAttributeError, reason };
}
