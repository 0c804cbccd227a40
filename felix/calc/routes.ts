/**
 * What the main table should hold for one prefix, from the inputs alone. Pure; no memory of what was wanted before, so
 * the order in which inputs arrived cannot matter, and one prefix or all of them can be computed anew.
 * Order of conflict: local pod, own block, learned. Invariant: a learned route never replaces, covers up or hides one of
 * our own blocks or pods (DESIGN.md decision 15); an own block is a blackhole, so that an unused address in it is
 * answered here and does not wander off by the default route and back.
 */
import { hostPrefix, type Ip, maxLength, type Prefix, type PrefixMap, prefixFamily, prefixLength } from '#net';
import type { Workload } from '../inputs.ts';
import type { Route } from '../iproute2/route.ts';
import { type NextHopResolver, sourceFor } from './next-hop.ts';
import type { NexthopGroups } from './nexthop-groups.ts';

export interface RouteInputs {
  readonly node: readonly Ip[];
  readonly blocks: PrefixMap<true>;
  readonly learned: ReadonlyMap<Prefix, readonly Ip[]>;
  /** By host prefix; where two sandboxes claim one address, the one wired last. */
  readonly workloads: ReadonlyMap<Prefix, Workload>;
  readonly resolver: NextHopResolver;
  /** Absent where the kernel has no nexthop objects: routes then carry their gateways themselves. */
  readonly groups?: NexthopGroups | undefined;
  /** Pod interfaces that are up. */
  readonly devices: ReadonlySet<string>;
  readonly protocol: number;
  readonly metric: number;
}

/** A route, a reason why there is none though one is wanted, or nothing wanted. */
export type Wanted = { readonly route: Route } | { readonly reason: string } | undefined;

/** What one prefix should be. */
export function wantedRoute(prefix: Prefix, inputs: RouteInputs): Wanted {
  const workload = inputs.workloads.get(prefix);
  if (workload !== undefined) {
    if (inputs.devices.has(workload.hostInterface)) return { route: workloadRoute(prefix, workload, inputs) };
    return { reason: `interface ${workload.hostInterface} of its pod is missing or down` };
  }
  if (inputs.blocks.get(prefix) !== undefined) return { route: blackhole(prefix, inputs) };
  const nextHops = inputs.learned.get(prefix);
  return nextHops === undefined ? undefined : learnedRoute(prefix, nextHops, inputs);
}

/** Every prefix that any input speaks of. */
export function allPrefixes(inputs: RouteInputs): ReadonlySet<Prefix> {
  return new Set([...inputs.workloads.keys(), ...inputs.blocks.keys(), ...inputs.learned.keys()]);
}

/** The host routes of a set of workloads; a later one takes an address from an earlier one. */
export function workloadPrefixes(workloads: Iterable<Workload>): ReadonlyMap<Prefix, Workload> {
  const byPrefix = new Map<Prefix, Workload>();
  for (const workload of workloads) for (const ip of workload.addresses) byPrefix.set(hostPrefix(ip), workload);
  return byPrefix;
}

function workloadRoute(prefix: Prefix, workload: Workload, inputs: RouteInputs): Route {
  return {
    ...ours(prefix, inputs),
    type: 'unicast',
    link: prefixFamily(prefix) === 4,
    source: sourceFor(prefix, inputs.node, inputs.resolver),
    nextHops: [{ gateway: undefined, device: workload.hostInterface, onlink: false }],
  };
}

function blackhole(prefix: Prefix, inputs: RouteInputs): Route {
  return { ...ours(prefix, inputs), type: 'blackhole', link: false, source: undefined, nextHops: [] };
}

function learnedRoute(prefix: Prefix, nextHops: readonly Ip[], inputs: RouteInputs): Wanted {
  const length = prefixLength(prefix);
  for (const { prefix: block } of inputs.blocks.covering(prefix)) {
    if (length < maxLength(prefixFamily(prefix))) return { reason: `it lies inside own block ${block}` };
  }
  if (nextHops.length === 0) return undefined;
  const source = sourceFor(prefix, inputs.node, inputs.resolver);
  if (inputs.groups !== undefined) {
    const group = inputs.groups.groupFor(prefixFamily(prefix), nextHops);
    if ('reason' in group) return group;
    const route = {
      ...ours(prefix, inputs),
      type: 'unicast',
      link: false,
      source,
      nextHops: [],
      group: group.id,
    } as const;
    return { route };
  }
  const answer = inputs.resolver.resolveAll(nextHops);
  if ('reason' in answer) return answer;
  return { route: { ...ours(prefix, inputs), type: 'unicast', link: false, source, nextHops: answer.hops } };
}

function ours(prefix: Prefix, inputs: RouteInputs) {
  return { prefix, protocol: inputs.protocol, metric: inputs.metric, dead: false } as const;
}
