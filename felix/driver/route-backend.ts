/**
 * The port through which Felix reads and writes the main routing table and the nexthop objects of its namespace. Two
 * back ends stand behind it: iproute2 children (`iproute2-backend.ts`) and raw rtnetlink in a thread of its own
 * (src/libc); `route-backend.contract.ts` is what both must do. Invariant: `add` is exclusive (NLM_F_EXCL), `replace` is
 * asked for only where a read-back showed ours, `delete` names protocol and metric, so a foreign route is never hit.
 */
import type { Prefix } from '#net';
import type { NexthopObject } from '../calc/nexthop-groups.ts';
import type { Route } from '../iproute2/route.ts';

type Verb = 'add' | 'replace' | 'delete';

export interface RouteStep {
  readonly verb: Verb;
  readonly route: Route;
}

export interface NexthopStep {
  readonly verb: Verb;
  readonly nexthop: NexthopObject;
}

/** What the kernel holds for prefixes; undefined = nothing of ours. */
export type RouteChanges = ReadonlyMap<Prefix, Route | undefined>;

export interface RouteReading {
  /** Our routes, as far as they differ from what the last reading and the writes since left. */
  readonly changes: RouteChanges;
  /** Routes of our protocol that are not the prefix's own: another metric. */
  readonly strays: readonly Route[];
  /** Main-table routes of every other protocol. */
  readonly foreign: readonly Route[];
  /** All of this namespace, by id; none where the back end was told not to use them. */
  readonly nexthops: ReadonlyMap<number, NexthopObject>;
}

/** By index of the step, in words. A deletion of what is not there is no refusal. */
export type Refusals = ReadonlyMap<number, string>;

/** Every method throws FelixError CHILD_LOST where the outcome is unknown; then a reading without `known` is due. */
export interface RouteBackend {
  readonly name: 'iproute2' | 'netlink';
  /** Reads everything; `known` is what is believed to be there, absent = report all of ours. */
  read(known: ReadonlyMap<Prefix, Route> | undefined): Promise<RouteReading>;
  /**
   * Says what these prefixes hold now, and perhaps more that changed, without a reading of everything; a prefix it does
   * not speak of is as the last reading and the writes since left it.
   */
  recheck(prefixes: readonly Prefix[]): Promise<RouteChanges>;
  /** Applies in order; one refused step does not stop the others. */
  applyRoutes(steps: readonly RouteStep[]): Promise<Refusals>;
  applyNexthops(steps: readonly NexthopStep[]): Promise<Refusals>;
  /** A name means another interface from now on. */
  forget(device: string): void;
  stop(): void;
  readonly respawns: number;
}

/** What a back end has to know to tell ours from the rest. */
export interface RouteOwnership {
  readonly protocol: number;
  readonly metric: number;
  /** Whether nexthop objects are used at all. */
  readonly nexthops: boolean;
}
