/** A neighbour entry (rtnetlink RTM_NEWNEIGH, ip-neighbour(8)): `ip -j -N neigh` JSON ⇄ value, and its batch line. */
import { type Ip, tryParseIp } from '#net';
import { recordsOf, textOf } from './json.ts';
import { deviceName } from './route.ts';

export interface Neighbour {
  readonly ip: Ip;
  readonly device: string;
  readonly mac: string | undefined;
  readonly permanent: boolean;
}

/** Decodes `ip -j -N neigh show [dev X]`. */
export function decodeNeighbours(json: unknown): readonly Neighbour[] {
  return recordsOf(json).flatMap((entry) => {
    const ip = tryParseIp(textOf(entry, 'dst') ?? '');
    const device = textOf(entry, 'dev');
    if (ip === undefined || device === undefined) return [];
    const states: readonly unknown[] = Array.isArray(entry['state']) ? entry['state'] : [];
    return [{ ip, device, mac: textOf(entry, 'lladdr'), permanent: states.includes('PERMANENT') }];
  });
}

/** A permanent entry: no ARP or NDP is ever needed on the link, and no third party can answer in its place. */
export function replaceNeighbourLine(ip: Ip, mac: string, device: string): string {
  return `neigh replace ${ip} lladdr ${mac} dev ${deviceName(device)} nud permanent`;
}
