/**
 * The routes driver: read back, diff, one batch. What is ours is told by protocol and metric (`ownership.ts`); foreign
 * routes are never touched: ours are created exclusively, and replaced only where the read-back shows ours.
 * Invariant: with nothing to do it issues nothing.
 */
import type { Prefix } from '#net';
import { diff } from '#reconcile';
import type { Batch } from '../iproute2/batch.ts';
import { addRouteLine, deleteRouteLine, type Route, replaceRouteLine, routeKey, sameRoute } from '../iproute2/route.ts';

/** One command and what the kernel holds for the prefix once it is done. */
export interface RouteStep {
  readonly line: string;
  readonly prefix: Prefix;
  readonly after: Route | undefined;
  /** It removes a leftover beside the prefix's real route. */
  readonly isStray: boolean;
}

export interface RoutePlan {
  readonly steps: readonly RouteStep[];
  /** Wanted prefixes whose key a foreign route holds. */
  readonly blocked: readonly Prefix[];
}

/** What to do about these prefixes: additions and changes first, so that an address that moves is never without. */
export function planRoutes(state: {
  readonly desired: ReadonlyMap<Prefix, Route>;
  readonly actual: ReadonlyMap<Prefix, Route>;
  readonly foreign: ReadonlySet<string>;
  /** Routes of ours under another metric than today's. */
  readonly strays: readonly Route[];
  readonly mayRemove: (route: Route) => boolean;
}): RoutePlan {
  const { add, change, remove } = diff(state.desired, state.actual, sameRoute);
  const blocked: Prefix[] = [];
  const steps: RouteStep[] = [];
  for (const [prefix, route] of add) {
    if (state.foreign.has(routeKey(prefix, route.metric))) blocked.push(prefix);
    else steps.push({ line: addRouteLine(route), prefix, after: route, isStray: false });
  }
  for (const [prefix, { to }] of change) {
    steps.push({ line: replaceRouteLine(to), prefix, after: to, isStray: false });
  }
  for (const [prefix, route] of remove) {
    if (state.mayRemove(route)) steps.push({ line: deleteRouteLine(route), prefix, after: undefined, isStray: false });
  }
  for (const route of state.strays) {
    if (!state.mayRemove(route)) continue;
    steps.push({ line: deleteRouteLine(route), prefix: route.prefix, after: undefined, isStray: true });
  }
  return { steps, blocked };
}

/** Lines between two acknowledgements: bounds what is in the pipe, and what is unknown when the child is lost. */
const CHUNK = 10_000;

/** Applies a plan; resolves with the refusals by prefix. A route that was to go and is gone already is no refusal. */
export async function applyRoutes(batch: Batch, steps: readonly RouteStep[]): Promise<ReadonlyMap<Prefix, string>> {
  const faults = new Map<Prefix, string>();
  for (let from = 0; from < steps.length; from += CHUNK) {
    const chunk = steps.slice(from, from + CHUNK);
    for (const [index, message] of await batch.submit(chunk.map((step) => step.line))) {
      const step = chunk[index];
      if (step === undefined || (step.after === undefined && message.endsWith('No such process'))) continue;
      faults.set(step.prefix, message);
    }
  }
  return faults;
}
