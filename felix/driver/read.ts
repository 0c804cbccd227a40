/**
 * Reading this namespace back: links, addresses, permanent neighbours and the main table of both families, in one script of a coprocess.
 * Everything is read, not only what is ours: foreign routes are what next hops resolve through and what we must not hit.
 */
import type { Ip, Prefix } from '#net';
import type { Underlay } from '../calc/next-hop.ts';
import { FelixError } from '../errors.ts';
import { parseIpJson } from '../iproute2/json.ts';
import { decodeLinks, type Link } from '../iproute2/link.ts';
import { decodeNeighbours, type Neighbour } from '../iproute2/neigh.ts';
import { decodeRoutes, type Route, routeKey } from '../iproute2/route.ts';
import type { Shell } from '../iproute2/shell.ts';

/** What the kernel holds, split into ours and the rest. */
export interface KernelState {
  /** Our routes, recognised by protocol and metric. */
  readonly ours: ReadonlyMap<Prefix, Route>;
  /** Routes of our protocol that an older setting left: another metric. */
  readonly strays: readonly Route[];
  readonly underlay: Underlay;
  /** `routeKey`s held by other protocols. */
  readonly foreign: ReadonlySet<string>;
  readonly links: readonly Link[];
  /** Permanent ones. */
  readonly neighbours: readonly Neighbour[];
}

const SEPARATOR = '\u001d';
/** `|| r=$?` keeps going: a table that does not exist yet (no IPv4 route was ever added) is an empty one. */
const SCRIPT = [
  'ip -j -N addr show || exit_code=$?',
  'ip -j -N neigh show nud permanent || exit_code=$?',
  'ip -j -N -d -4 route show table main || exit_code=$?',
  'ip -j -N -d -6 route show table main || exit_code=$?',
].join(`; printf '\\035'; `);

/** Reads everything · throws FelixError KERNEL_REFUSED, CHILD_LOST. */
export async function readKernel(shell: Shell, ownership: { protocol: number; metric: number }): Promise<KernelState> {
  const { stdout, stderr } = await shell.run(SCRIPT);
  const trouble = stderr.replaceAll(/^(Error: ipv[46]: FIB table does not exist\.|Dump terminated)$/gm, '').trim();
  const [addr, neigh, route4, route6] = stdout.split(SEPARATOR);
  if (addr === undefined || neigh === undefined || route4 === undefined || route6 === undefined || trouble !== '') {
    throw new FelixError('KERNEL_REFUSED', `reading routes back failed: ${trouble || 'output cut short'}`);
  }
  const links = decodeLinks(parseIpJson(addr));
  const routes = [...decodeRoutes(parseIpJson(route4), 4), ...decodeRoutes(parseIpJson(route6), 6)];
  const neighbours = decodeNeighbours(parseIpJson(neigh));
  return { ...splitRoutes(routes, links, ownership), links, neighbours };
}

/** Tells ours from foreign ones. */
function splitRoutes(
  routes: readonly Route[],
  links: readonly Link[],
  ownership: { readonly protocol: number; readonly metric: number },
): Omit<KernelState, 'links' | 'neighbours'> {
  const ours = new Map<Prefix, Route>();
  const strays: Route[] = [];
  const others: Route[] = [];
  for (const route of routes) {
    if (route.protocol !== ownership.protocol) others.push(route);
    else if (route.metric === ownership.metric && !ours.has(route.prefix)) ours.set(route.prefix, route);
    else strays.push(route);
  }
  const addresses = new Set<Ip>(links.flatMap((link) => link.addresses.map((address) => address.ip)));
  const foreign = new Set(others.map((route) => routeKey(route.prefix, route.metric)));
  return { ours, strays, underlay: { routes: others, addresses }, foreign };
}
