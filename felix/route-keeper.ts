/**
 * Keeps the main routing table and the nexthop objects as the tables want them: what is desired, what is in the kernel as
 * last read and written since, and the way from one to the other. Works through many prefixes in slices, so that 100,000
 * routes do not hold this thread: while one slice is being written the next is calculated. Invariants: nexthop objects go
 * in before the routes that point at them and out after them; no prefix loses its route before others that are to
 * have one have theirs; nothing is removed before the input that could want it is in sync.
 */
import type { Prefix } from '#net';
import type { Timers } from '#reconcile';
import { NextHopResolver, sourceFor } from './calc/next-hop.ts';
import { isGroupId, type NexthopObject, NexthopGroups, sameNexthop } from './calc/nexthop-groups.ts';
import { allPrefixes, type RouteInputs, type Wanted, wantedRoute } from './calc/routes.ts';
import type { KernelState } from './driver/read.ts';
import type { Refusals, RouteBackend, RouteChanges, RouteStep } from './driver/route-backend.ts';
import { planNexthopRemovals, planNexthops, planRoutes } from './driver/routes.ts';
import { type Route, sameRoute } from './iproute2/route.ts';
import type { FelixSettings } from './options.ts';
import type { Dirty, Tables } from './tables.ts';

/** Prefixes calculated and written at a time; about 5 ms of this thread. */
const SLICE = 2_000;
/** Slices that the back end may have before it: enough that it never waits for us. */
const IN_FLIGHT = 3;

export interface RouteKeeperOptions {
  readonly settings: FelixSettings;
  readonly tables: Tables;
  readonly backend: RouteBackend;
  readonly nexthops: boolean;
  readonly timers: Timers;
}

export const EMPTY_KERNEL: KernelState = {
  strays: [],
  underlay: { routes: [], addresses: new Set() },
  foreign: new Set(),
  links: [],
  neighbours: [],
  nexthops: new Map(),
};

export class RouteKeeper {
  readonly desired = new Map<Prefix, Route>();
  /** Our routes in the kernel, as last read and written since. */
  readonly actual = new Map<Prefix, Route>();
  readonly unresolved = new Map<Prefix, string>();
  readonly conflicts = new Map<Prefix, string>();
  /** Pod interfaces that are up. */
  readonly devices = new Set<string>();
  commands = 0;
  readonly #options: RouteKeeperOptions;
  readonly #groups: NexthopGroups | undefined;
  /** Nexthop objects in the kernel, ours and others', as last read and written since. */
  #nexthops = new Map<number, NexthopObject>();
  /** Routes that name their device themselves: pods', blackholes, and all where there are no nexthop objects. */
  readonly #direct = new Set<Prefix>();
  #resolver = new NextHopResolver(EMPTY_KERNEL.underlay);
  #kernel: KernelState = EMPTY_KERNEL;
  #sources = '';

  constructor(options: RouteKeeperOptions) {
    this.#options = options;
    this.#groups = options.nexthops ? new NexthopGroups(options.settings.routeProtocol, this.#resolver) : undefined;
  }

  /** Takes a reading: what it says of ours, and what of the rest makes us look at prefixes again. */
  take(kernel: KernelState, changes: RouteChanges): void {
    const { tables } = this.#options;
    this.takeChanges(changes);
    const before = this.#kernel;
    this.#kernel = kernel;
    this.#nexthops = new Map(kernel.nexthops);
    this.#resolver = new NextHopResolver(kernel.underlay);
    if (this.#groups === undefined) {
      tables.markEverything();
      return;
    }
    const isOtherwise = this.#groups.resolveBy(this.#resolver);
    const sources = this.#sourcesNow();
    if (isOtherwise || sources !== this.#sources) tables.markEverything();
    this.#sources = sources;
    tables.mark(this.#direct);
    tables.mark(tables.workloadPrefixes().keys());
    tables.mark(this.conflicts.keys());
    tables.mark(this.unresolved.keys());
    for (const key of kernel.foreign) {
      if (!before.foreign.has(key)) tables.mark([key.slice(0, key.indexOf(' ')) as Prefix]);
    }
  }

  takeChanges(changes: RouteChanges): void {
    for (const [prefix, route] of changes) this.#holds(prefix, route);
    this.#options.tables.mark(changes.keys());
  }

  /** The kernel took these with their device. */
  forgetDevice(device: string): void {
    this.devices.delete(device);
    for (const prefix of this.#direct) {
      const route = this.actual.get(prefix);
      if (route?.nextHops.some((hop) => hop.device === device) !== true) continue;
      this.#holds(prefix, undefined);
      this.#options.tables.mark([prefix]);
    }
  }

  /** Makes the kernel right for what is dirty; resolves with the refusals by prefix. */
  async apply(dirty: Dirty): Promise<ReadonlyMap<Prefix, string>> {
    const inputs = this.#inputs();
    const all = dirty.everything
      ? [...new Set([...allPrefixes(inputs), ...this.actual.keys(), ...this.desired.keys()])]
      : [...dirty.prefixes];
    const refused = new Map<Prefix, string>();
    // First, what moves many routes at once.
    const unusable = new Map<number, string>();
    await this.#makeNexthops(unusable);
    const removals: RouteStep[] = [];
    const writing: Promise<void>[] = [];
    for (let from = 0; from < all.length; from += SLICE) {
      const slice = all.slice(from, from + SLICE);
      for (const prefix of slice) this.#want(prefix, wantedRoute(prefix, inputs));
      await this.#makeNexthops(unusable);
      const plan = this.#plan(slice);
      for (const step of plan.removals) removals.push(step);
      const writes = plan.writes.filter(({ route }) => {
        const reason = route.group === undefined ? undefined : unusable.get(route.group);
        if (reason !== undefined) refused.set(route.prefix, reason);
        return reason === undefined;
      });
      if (writing.length >= IN_FLIGHT) await writing.shift();
      const write = this.#write(writes, refused);
      // What fails is met at a later await; until then it must not count as unhandled.
      write.catch(() => undefined);
      writing.push(write);
      if (writes.length === 0 && all.length > SLICE) await this.#breathe();
    }
    await Promise.all(writing);
    for (let from = 0; from < removals.length; from += SLICE) {
      await this.#write(removals.slice(from, from + SLICE), refused);
    }
    await this.#removeLeftovers(refused);
    return refused;
  }

  isRight(prefix: Prefix): boolean {
    const wanted = this.desired.get(prefix);
    const actual = this.actual.get(prefix);
    return wanted === undefined ? actual === undefined : actual !== undefined && sameRoute(actual, wanted);
  }

  /**
   * Whether a route event that names a group is the echo of our own write: told without decoding the line, since the
   * kernel sends back every one of 100,000 writes.
   */
  isEcho(prefix: string, group: number, deleted: boolean): boolean {
    const wanted = this.desired.get(prefix as Prefix);
    return deleted ? wanted === undefined && isGroupId(group) : wanted?.group === group;
  }

  /** Whether an event about a nexthop object says something else than what we last wrote. */
  isNexthopNews(nexthop: NexthopObject, deleted: boolean): boolean {
    if (nexthop.protocol !== this.#options.settings.routeProtocol) return false;
    const there = this.#nexthops.get(nexthop.id);
    return deleted ? there !== undefined : there === undefined || !sameNexthop(there, nexthop);
  }

  #plan(prefixes: readonly Prefix[]) {
    const plan = planRoutes({
      desired: pick(this.desired, prefixes),
      actual: pick(this.actual, prefixes),
      foreign: this.#kernel.foreign,
      mayRemove: (route) => this.#mayRemove(route),
    });
    if (this.conflicts.size > 0) for (const prefix of prefixes) this.conflicts.delete(prefix);
    for (const prefix of plan.blocked)
      this.conflicts.set(prefix, 'a route of another owner has this prefix and metric');
    return plan;
  }

  async #write(steps: readonly RouteStep[], refused: Map<Prefix, string>): Promise<void> {
    if (steps.length === 0) return;
    this.commands += steps.length;
    const refusals = await this.#options.backend.applyRoutes(steps);
    for (const [index, { verb, route }] of steps.entries()) {
      const reason = refusals.get(index);
      if (reason !== undefined) refused.set(route.prefix, reason);
      else this.#holds(route.prefix, verb === 'delete' ? undefined : route);
    }
  }

  /** Makes and mends the objects that routes want; those it cannot have are told by id of the group. */
  async #makeNexthops(unusable: Map<number, string>): Promise<void> {
    if (this.#groups?.changed !== true) return;
    const wanted = this.#groups.wanted();
    const steps = planNexthops(wanted, this.#nexthops);
    if (steps.length === 0) return;
    this.commands += steps.length;
    const refusals = await this.#options.backend.applyNexthops(steps);
    this.#tookNexthops(steps, refusals);
    for (const [index, reason] of refusals) {
      const id = steps[index]?.nexthop.id;
      if (id === undefined) continue;
      for (const group of wanted.values()) {
        if (group.id === id || group.members.includes(id)) unusable.set(group.id, `nexthop object refused: ${reason}`);
      }
      this.#groups.changed = true;
    }
  }

  /** Routes and objects that nothing wants, once every input could have wanted them. */
  async #removeLeftovers(refused: Map<Prefix, string>): Promise<void> {
    const { tables, backend, settings } = this.#options;
    const strays = this.#kernel.strays.filter((route) => this.#mayRemove(route));
    if (strays.length > 0) {
      this.#kernel = { ...this.#kernel, strays: [] };
      this.commands += strays.length;
      const refusals = await backend.applyRoutes(strays.map((route) => ({ verb: 'delete', route })));
      for (const [index, reason] of refusals) {
        const prefix = strays[index]?.prefix;
        if (prefix !== undefined) refused.set(prefix, reason);
      }
    }
    if (!tables.inSync.learned || refused.size > 0) return;
    const steps = planNexthopRemovals(this.#groups?.wanted() ?? new Map(), this.#nexthops, settings.routeProtocol);
    if (steps.length === 0) return;
    this.commands += steps.length;
    this.#tookNexthops(steps, await backend.applyNexthops(steps));
    this.#groups?.forget(steps.map(({ nexthop }) => nexthop.id));
  }

  #tookNexthops(steps: readonly { readonly verb: string; readonly nexthop: NexthopObject }[], refusals: Refusals) {
    for (const [index, { verb, nexthop }] of steps.entries()) {
      if (refusals.has(index)) continue;
      if (verb === 'delete') this.#nexthops.delete(nexthop.id);
      else this.#nexthops.set(nexthop.id, nexthop);
    }
  }

  #holds(prefix: Prefix, route: Route | undefined): void {
    if (route === undefined) this.actual.delete(prefix);
    else this.actual.set(prefix, route);
    if (route !== undefined && route.group === undefined) this.#direct.add(prefix);
    else this.#direct.delete(prefix);
  }

  #inputs(): RouteInputs {
    const { tables, settings } = this.#options;
    return {
      node: tables.node,
      blocks: tables.blocks,
      learned: tables.learned,
      workloads: tables.workloadPrefixes(),
      resolver: this.#resolver,
      groups: this.#groups,
      devices: this.devices,
      protocol: settings.routeProtocol,
      metric: settings.metric,
    };
  }

  #want(prefix: Prefix, wanted: Wanted): void {
    const route = wanted !== undefined && 'route' in wanted ? wanted.route : undefined;
    const before = this.desired.get(prefix)?.group;
    if (before !== route?.group) {
      if (before !== undefined) this.#groups?.count(before, -1);
      if (route?.group !== undefined) this.#groups?.count(route.group, 1);
    }
    if (route === undefined) this.desired.delete(prefix);
    else this.desired.set(prefix, route);
    if (wanted !== undefined && 'reason' in wanted) this.unresolved.set(prefix, wanted.reason);
    else this.unresolved.delete(prefix);
  }

  /** A route of ours may go once the input that could still want it has said everything. */
  #mayRemove(route: Route): boolean {
    const { inSync, released } = this.#options.tables;
    if (route.type === 'blackhole') return inSync.blocks;
    if (route.group !== undefined) return inSync.learned;
    if (route.nextHops.some((hop) => released.has(hop.device))) return true;
    const toPod = route.nextHops.every((hop) => hop.device.startsWith(this.#options.settings.interfacePrefix));
    return toPod && route.nextHops[0]?.gateway === undefined ? inSync.workloads : inSync.learned;
  }

  /** The source addresses routes get, which hang on the addresses this namespace has. */
  #sourcesNow(): string {
    const { node } = this.#options.tables;
    return (['0.0.0.0/0', '::/0'] as Prefix[]).map((prefix) => sourceFor(prefix, node, this.#resolver)).join();
  }

  #breathe(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.timers.set(resolve, 0);
    });
  }
}

function pick(routes: ReadonlyMap<Prefix, Route>, prefixes: readonly Prefix[]): ReadonlyMap<Prefix, Route> {
  const picked = new Map<Prefix, Route>();
  for (const prefix of prefixes) {
    const route = routes.get(prefix);
    if (route !== undefined) picked.set(prefix, route);
  }
  return picked;
}
