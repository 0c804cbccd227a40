/**
 * Name of the host end of a pod interface. Linux allows 15 bytes; the prefix and 11 hex digits of SHA-1 over container
 * id and interface name fit, collide once in 2^22 pods a node, and differ for every new sandbox of the same pod:
 * a late DEL of the old sandbox cannot touch the new one.
 */
import { createHash } from 'node:crypto';
import { type Ip, parseIp } from '#net';
import { INTERFACE_PREFIX } from '../ownership.ts';

/** Host interface name for a sandbox's interface; `prefix` is at most 4 letters. */
export function hostInterfaceName(containerId: string, ifname: string, prefix: string = INTERFACE_PREFIX): string {
  const hash = createHash('sha1').update(`${containerId}\0${ifname}`).digest('hex');
  return `${prefix}${hash.slice(0, 11)}`;
}

/** The pod end's MAC, locally administered and fixed by the sandbox, so that the host knows it before it exists. */
export function podMac(hostInterface: string): string {
  const hash = createHash('sha1').update(`mac\0${hostInterface}`).digest();
  return ['0e', ...[...hash.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

/** The link-local address of a MAC (RFC 4291 appendix A: modified EUI-64). */
export function linkLocalOf(mac: string): Ip {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const groups = [(a ^ 2) * 256 + b, c * 256 + 0xff, 0xfe00 + d, e * 256 + f];
  return parseIp(`fe80::${groups.map((group) => group.toString(16)).join(':')}`);
}
