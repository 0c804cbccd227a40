/**
 * The sysctls a routing node needs, in its own network namespace (/proc/sys/net follows the reader's namespace).
 * Forwarding on turns router advertisements off (accept_ra 1 means "only as a host"), which would cost the node its IPv6
 * default route when it expires: interfaces that got a route that way are set to accept_ra 2 first.
 */
import { readFile, writeFile } from 'node:fs/promises';
import type { Route } from '../iproute2/route.ts';

export interface Sysctl {
  /** Path below /proc/sys. */
  readonly path: string;
  readonly value: string;
}

/** `rtm_protocol` of a route learned from a router advertisement (RTPROT_RA). */
const ROUTER_ADVERTISEMENT = 9;

/** What the node needs, in the order to set it; IPv6 only where it has IPv6. */
export function nodeSysctls(
  families: { readonly ipv4: boolean; readonly ipv6: boolean },
  foreign: readonly Route[],
): readonly Sysctl[] {
  const uplinks = foreign.filter((route) => route.protocol === ROUTER_ADVERTISEMENT);
  const devices = new Set(uplinks.flatMap((route) => route.nextHops.map((hop) => hop.device)));
  const advertised = [...devices].map((device) => ({ path: `net/ipv6/conf/${device}/accept_ra`, value: '2' }));
  return [
    ...(families.ipv4 ? [{ path: 'net/ipv4/ip_forward', value: '1' }] : []),
    ...(families.ipv6 ? [...advertised, { path: 'net/ipv6/conf/all/forwarding', value: '1' }] : []),
  ];
}

/** The files below /proc/sys of one namespace. */
export interface SysctlFiles {
  read(path: string): Promise<string>;
  write(path: string, value: string): Promise<void>;
}

/** Those of the namespace this process lives in. */
export const ownSysctls: SysctlFiles = {
  read: async (path) => (await readFile(`/proc/sys/${path}`, 'utf8')).trim(),
  write: (path, value) => writeFile(`/proc/sys/${path}`, value),
};

/** Reads, and writes what differs; resolves with what was changed · throws the file's error, naming it. */
export async function applySysctls(files: SysctlFiles, wanted: readonly Sysctl[]): Promise<readonly Sysctl[]> {
  const changed: Sysctl[] = [];
  for (const sysctl of wanted) {
    if ((await files.read(sysctl.path)) === sysctl.value) continue;
    await files.write(sysctl.path, sysctl.value);
    changed.push(sysctl);
  }
  return changed;
}
