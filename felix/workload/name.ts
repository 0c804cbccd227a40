/**
 * Name of the host end of a pod interface. Linux allows 15 bytes; the prefix and 11 hex digits of SHA-1 over container
 * id and interface name fit, collide once in 2^22 pods a node, and differ for every new sandbox of the same pod:
 * a late DEL of the old sandbox cannot touch the new one.
 */
import { createHash } from 'node:crypto';
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
