/**
 * Reading this namespace back: links, addresses and permanent neighbours by a coprocess, routes and nexthop objects by
 * the route back end. Of ours only what changed comes back; foreign routes all do, since next hops resolve through them
 * and we must not hit them.
 */
import type { Ip } from '#net';
import type { NexthopObject } from '../calc/nexthop-groups.ts';
import type { Underlay } from '../calc/next-hop.ts';
import { parseIpJson } from '../iproute2/json.ts';
import { decodeLinks, type Link } from '../iproute2/link.ts';
import { decodeNeighbours, type Neighbour } from '../iproute2/neigh.ts';
import { type Route, routeKey } from '../iproute2/route.ts';
import type { Shell } from '../iproute2/shell.ts';
import { readScript } from './read-script.ts';
import type { RouteReading } from './route-backend.ts';

/** What the kernel holds besides our routes. */
export interface KernelState {
  /** Routes of our protocol that an older setting left: another metric. */
  readonly strays: readonly Route[];
  readonly underlay: Underlay;
  /** `routeKey`s held by other protocols. */
  readonly foreign: ReadonlySet<string>;
  readonly links: readonly Link[];
  /** Permanent ones. */
  readonly neighbours: readonly Neighbour[];
  /** Ours and others'. */
  readonly nexthops: ReadonlyMap<number, NexthopObject>;
}

/** Links, addresses and neighbours. */
export interface LinkState {
  readonly links: readonly Link[];
  readonly neighbours: readonly Neighbour[];
}

/** Reads links and neighbours · throws FelixError KERNEL_REFUSED, CHILD_LOST. */
export async function readLinks(shell: Shell): Promise<LinkState> {
  const [addr = '', neigh = ''] = await readScript(shell, ['ip -j -N addr show', 'ip -j -N neigh show nud permanent']);
  return { links: decodeLinks(parseIpJson(addr)), neighbours: decodeNeighbours(parseIpJson(neigh)) };
}

/** Both halves as one state. */
export function joinState({ links, neighbours }: LinkState, reading: RouteReading): KernelState {
  const addresses = new Set<Ip>(links.flatMap((link) => link.addresses.map((address) => address.ip)));
  return {
    strays: reading.strays,
    underlay: { routes: reading.foreign, addresses },
    foreign: new Set(reading.foreign.map((route) => routeKey(route.prefix, route.metric))),
    links,
    neighbours,
    nexthops: reading.nexthops,
  };
}
