/**
 * What is there of one pod's wiring, read from both sides, and what is wrong with it (CNI CHECK). Reading is one script;
 * judging is pure.
 */
import { familyOf, type Ip, parseIp } from '#net';
import { FelixError } from '../errors.ts';
import type { Workload } from '../inputs.ts';
import { parseIpJson } from '../iproute2/json.ts';
import { decodeLinks, type Link } from '../iproute2/link.ts';
import { decodeNeighbours, type Neighbour } from '../iproute2/neigh.ts';
import { decodeRoutes, deviceName, type Route } from '../iproute2/route.ts';
import { quote, type Shell } from '../iproute2/shell.ts';
import { GATEWAY_4, GATEWAY_6, HOST_MAC } from '../ownership.ts';
import { podMac } from './name.ts';
import type { Start } from './plug.ts';

/** One end of the pair with everything the pod's traffic needs there. */
interface End {
  readonly link: Link | undefined;
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
}

export interface Wiring {
  readonly host: End;
  readonly pod: End;
}

const SEPARATOR = '\u001d';

/** Reads both ends; an interface that is not there is an absent link · throws FelixError when the pod cannot be entered. */
export async function readWiring(shell: Shell, workload: Workload): Promise<Wiring> {
  const host = queries(workload.hostInterface);
  const pod = `nsenter --net=${quote(workload.netns)} sh -c ${quote(queries(workload.ifname))}`;
  const { code, stdout, stderr } = await shell.run(`${host}; printf '\\035'; ${pod}`);
  const parts = stdout.split(SEPARATOR);
  if (parts.length < 8 || code !== 0) {
    throw new FelixError(
      'KERNEL_REFUSED',
      `reading ${workload.hostInterface} failed: ${stderr.trim() || 'output cut short'}`,
    );
  }
  return { host: decodeEnd(parts.slice(0, 4)), pod: decodeEnd(parts.slice(4)) };
}

/** An absent device is told by `ip` on stderr and with an empty answer. */
function queries(device: string): string {
  const dev = deviceName(device);
  const wanted = [
    `ip -j -N addr show dev ${dev}`,
    `ip -j -N -d -4 route show table main dev ${dev}`,
    `ip -j -N -d -6 route show table main dev ${dev}`,
    `ip -j -N neigh show dev ${dev} nud permanent`,
  ];
  return `${wanted.join(" 2>/dev/null; printf '\\035'; ")} 2>/dev/null; true`;
}

function decodeEnd(parts: readonly string[]): End {
  const [addr, route4, route6, neigh] = parts.map((part) => parseIpJson(part));
  return {
    link: decodeLinks(addr)[0],
    routes: [...decodeRoutes(withDevice(route4), 4), ...decodeRoutes(withDevice(route6), 6)],
    neighbours: decodeNeighbours(withDevice(neigh)),
  };
}

/** Asked for one device, `ip` leaves its name out. */
function withDevice(json: unknown): unknown {
  return Array.isArray(json) ? json.map((entry: unknown) => ({ dev: '-', ...(entry as object) })) : json;
}

/** Where a plug has to start from · throws FelixError INTERFACE_TAKEN when the name in the pod is someone else's. */
export function startFrom(wiring: Wiring, workload: Workload): Start {
  const { host, pod } = wiring;
  if (arePeers(host.link, pod.link)) {
    const podAddresses = pod.link?.addresses.filter(({ linkLocal }) => !linkLocal) ?? [];
    return { from: 'pair', podAddresses, macs: { host: host.link?.mac, pod: pod.link?.mac } };
  }
  if (pod.link !== undefined) {
    throw new FelixError(
      'INTERFACE_TAKEN',
      `pod namespace ${workload.netns} already has an interface ${workload.ifname} that is not ours`,
    );
  }
  return host.link === undefined ? { from: 'nothing' } : { from: 'stale' };
}

function arePeers(host: Link | undefined, pod: Link | undefined): boolean {
  return host !== undefined && pod !== undefined && host.peerIndex === pod.index && pod.peerIndex === host.index;
}

/** What is wrong, in words; nothing means that packets flow. */
export function faultsOf(wiring: Wiring, workload: Workload): readonly string[] {
  const { host, pod } = wiring;
  const { hostInterface, ifname, addresses } = workload;
  if (host.link === undefined) return [`host interface ${hostInterface} is missing`];
  if (pod.link === undefined) return [`pod interface ${ifname} is missing`];
  if (!arePeers(host.link, pod.link)) return [`${hostInterface} and the pod's ${ifname} are not one veth pair`];
  const faults = [
    ...(host.link.up ? [] : [`host interface ${hostInterface} is down`]),
    ...(pod.link.up ? [] : [`pod interface ${ifname} is down`]),
    ...(host.link.mac === HOST_MAC ? [] : [`host interface ${hostInterface} has MAC ${host.link.mac}`]),
    ...(pod.link.mac === podMac(hostInterface) ? [] : [`pod interface ${ifname} has MAC ${pod.link.mac}`]),
  ];
  const held = new Set(pod.link.addresses.map((address) => address.ip));
  for (const ip of addresses) {
    if (!held.has(ip)) faults.push(`pod interface ${ifname} lacks address ${ip}`);
    if (!hasRoute(host, `${ip}/${familyOf(ip) === 4 ? 32 : 128}`)) faults.push(`the node has no route to ${ip}`);
    if (!hasNeighbour(host, ip, podMac(hostInterface))) faults.push(`the node has no neighbour entry for ${ip}`);
  }
  for (const family of new Set(addresses.map(familyOf))) faults.push(...gatewayFaults(pod, family));
  return faults;
}

function gatewayFaults(pod: End, family: 4 | 6): readonly string[] {
  const gateway = parseIp(family === 4 ? GATEWAY_4 : GATEWAY_6);
  const destination = family === 4 ? '0.0.0.0/0' : '::/0';
  const leads = pod.routes.some((route) => route.prefix === destination && route.nextHops[0]?.gateway === gateway);
  return [
    ...(leads ? [] : [`the pod has no default route through ${gateway}`]),
    ...(hasNeighbour(pod, gateway, HOST_MAC) ? [] : [`the pod has no neighbour entry for ${gateway}`]),
  ];
}

function hasRoute(end: End, prefix: string): boolean {
  return end.routes.some((route) => route.prefix === prefix && route.type === 'unicast');
}

function hasNeighbour(end: End, ip: Ip, mac: string): boolean {
  return end.neighbours.some((entry) => entry.ip === ip && entry.mac === mac);
}
