/**
 * The routes driver: what to do about some prefixes, given what is wanted and what is there. What is ours is told by
 * protocol and metric (`ownership.ts`); foreign routes are never touched: ours are created exclusively, and replaced only
 * where the read-back shows ours. Invariant: with nothing to do it plans nothing.
 */
import type { Prefix } from '#net';
import { diff } from '#reconcile';
import { type NexthopObject, sameNexthop } from '../calc/nexthop-groups.ts';
import { type Route, routeKey, sameRoute } from '../iproute2/route.ts';
import type { NexthopStep, RouteStep } from './route-backend.ts';

export interface RoutePlan {
  /** Additions and changes; they go before any removal, so that an address that moves is never without. */
  readonly writes: readonly RouteStep[];
  readonly removals: readonly RouteStep[];
  /** Wanted prefixes whose key a foreign route holds. */
  readonly blocked: readonly Prefix[];
}

/** What to do about these prefixes. */
export function planRoutes(state: {
  readonly desired: ReadonlyMap<Prefix, Route>;
  readonly actual: ReadonlyMap<Prefix, Route>;
  readonly foreign: ReadonlySet<string>;
  readonly mayRemove: (route: Route) => boolean;
}): RoutePlan {
  const { add, change, remove } = diff(state.desired, state.actual, sameRoute);
  const blocked: Prefix[] = [];
  const writes: RouteStep[] = [];
  const removals: RouteStep[] = [];
  for (const [prefix, route] of add) {
    if (state.foreign.has(routeKey(prefix, route.metric))) blocked.push(prefix);
    else writes.push({ verb: 'add', route });
  }
  for (const { to } of change.values()) writes.push({ verb: 'replace', route: to });
  for (const route of remove.values()) if (state.mayRemove(route)) removals.push({ verb: 'delete', route });
  return { writes, removals, blocked };
}

/** Nexthop objects to make or put right, members before groups. */
export function planNexthops(
  wanted: ReadonlyMap<number, NexthopObject>,
  actual: ReadonlyMap<number, NexthopObject>,
): readonly NexthopStep[] {
  return [...wanted.values()].flatMap((nexthop): readonly NexthopStep[] => {
    const there = actual.get(nexthop.id);
    // Somebody else's object under an id of ours: the exclusive add is refused and says so.
    if (there === undefined || there.protocol !== nexthop.protocol) return [{ verb: 'add', nexthop }];
    if (sameNexthop(there, nexthop)) return [];
    // A group cannot become a single next hop nor the reverse.
    const isSameKind = (there.hop === undefined) === (nexthop.hop === undefined);
    return isSameKind
      ? [{ verb: 'replace', nexthop }]
      : [
          { verb: 'delete', nexthop: there },
          { verb: 'add', nexthop },
        ];
  });
}

/** Nexthop objects of ours that nothing needs, groups before members. */
export function planNexthopRemovals(
  wanted: ReadonlyMap<number, NexthopObject>,
  actual: ReadonlyMap<number, NexthopObject>,
  protocol: number,
): readonly NexthopStep[] {
  const old = [...actual.values()].filter(({ id, protocol: holder }) => holder === protocol && !wanted.has(id));
  const isGroup = (nexthop: NexthopObject) => nexthop.members.length > 0;
  return [...old.filter(isGroup), ...old.filter((nexthop) => !isGroup(nexthop))].map((nexthop) => ({
    verb: 'delete',
    nexthop,
  }));
}
