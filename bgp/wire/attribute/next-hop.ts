/**
 * NEXT_HOP (3): where to send packets for the IPv4 prefixes in the NLRI field (RFC 4271 §5.1.3). Routes in
 * MP_REACH_NLRI have their next hop there, and NEXT_HOP is then ignored (RFC 4760 §3). It belongs to the announcement,
 * not to the path attributes, so the packer writes it.
 *
 *   +---------------------------------------------------------------+
 *   |                         IPv4 address                          |
 *   +---------------------------------------------------------------+
 */
import { ipFromBytes } from '#net';
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { AttributeClass, type AttributeRow, type Fault } from './row.ts';

export const nextHop: AttributeRow = {
  code: AttributeCode.nextHop,
  name: 'NEXT_HOP',
  rfc: 'RFC 4271 §5.1.3',
  class: AttributeClass.wellKnown,
  malformed: 'treat-as-withdraw', // RFC 7606 §7.3
  mandatory: 'with-ipv4-nlri',
  scope: 'any',
  decode: (value, draft) => {
    if (value.length !== 4) {
      return { subcode: UpdateSubcode.attributeLengthError, reason: `length is ${value.length}, expected 4` };
    }
    draft.nextHop = ipFromBytes(value);
    return checkNextHop(value);
  },
};

/** Refuses what is no host's address: unspecified, loopback, multicast, reserved · RFC 4271 §6.3, RFC 2545 §3. */
export function checkNextHop(address: Uint8Array): Fault | undefined {
  const isHost = address.length === 4 ? isHostAddress4(address) : isHostAddress6(address);
  if (isHost) return undefined;
  return {
    subcode: UpdateSubcode.invalidNextHop,
    reason: `${ipFromBytes(address)} is not the address of a host`,
    treatment: 'treat-as-withdraw',
  };
}

function isHostAddress4(address: Uint8Array): boolean {
  const first = address[0] ?? 0;
  return first !== 0 && first !== 127 && first < 224;
}

function isHostAddress6(address: Uint8Array): boolean {
  const isZeroOrLoopback = address.subarray(0, 15).every((byte) => byte === 0) && (address[15] ?? 0) <= 1;
  return !isZeroOrLoopback && address[0] !== 0xff;
}
