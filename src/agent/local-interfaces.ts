// What this machine's interfaces hold: addresses from the C library (os.networkInterfaces), default routes from
// /proc/net/route and /proc/net/ipv6_route. No process is started. Addresses nobody can peer with (loopback, link-local)
// and the host ends of pods are left out.
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { tryParseIp, type Ip } from '#net';
import type { LocalInterfaces } from './node.ts';

/** Reads the current state. A missing IPv6 table (IPv6 off) is an empty one. */
export async function readLocalInterfaces(interfacePrefix: string): Promise<LocalInterfaces> {
  const podEnd = new RegExp(`^${interfacePrefix}[0-9a-f]{11,13}$`);
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
    podEnd.test(name)
      ? []
      : (entries ?? []).flatMap((entry) => usable(entry.address).map((ip) => ({ ip, interface: name }))),
  );
  const [four, six] = await Promise.all([readTable('/proc/net/route'), readTable('/proc/net/ipv6_route')]);
  const v4 = defaultInterface4(four);
  const v6 = defaultInterface6(six);
  return {
    addresses,
    defaultInterface: { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) },
  };
}

function usable(text: string): readonly Ip[] {
  const ip = tryParseIp(text);
  return ip === undefined || /^(127\.|169\.254\.|fe[89ab][0-9a-f]:)/.test(ip) || ip === '::1' ? [] : [ip];
}

async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}

/** Interface of the default route with the lowest metric in the text of /proc/net/route. */
export function defaultInterface4(text: string): string | undefined {
  const rows = text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  return lowestMetric(
    rows.flatMap(([name, destination, , flags, , , metric, mask]) =>
      name !== undefined && destination === '00000000' && mask === '00000000' && isUsable(flags)
        ? [{ name, metric: Number(metric) }]
        : [],
    ),
  );
}

/** The same for /proc/net/ipv6_route; the kernel's own reject routes on `lo` do not count. */
export function defaultInterface6(text: string): string | undefined {
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/));
  return lowestMetric(
    rows.flatMap(([destination, length, , , , metric, , , flags, name]) =>
      name !== undefined && destination === '0'.repeat(32) && length === '00' && isUsable(flags)
        ? [{ name, metric: Number.parseInt(metric ?? '', 16) }]
        : [],
    ),
  );
}

const flagUp = 0x1;
const flagReject = 0x200;

function isUsable(flags: string | undefined): boolean {
  const bits = Number.parseInt(flags ?? '0', 16);
  return (bits & flagUp) !== 0 && (bits & flagReject) === 0;
}

function lowestMetric(routes: readonly { readonly name: string; readonly metric: number }[]): string | undefined {
  return routes.toSorted((a, b) => a.metric - b.metric)[0]?.name;
}
