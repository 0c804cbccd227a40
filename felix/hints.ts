/**
 * Which monitor hints mean that someone else touched something of ours or of what ours depends on. The kernel echoes
 * our own writes too: an event that says what is wanted anyway is no news. In doubt a hint counts: the cost is one
 * reading back, not a write.
 */
import type { Batch } from './iproute2/batch.ts';
import type { Hint } from './iproute2/monitor.ts';
import { type Route, sameRoute } from './iproute2/route.ts';
import type { Loop } from './loop.ts';
import type { FelixLog, FelixSettings } from './options.ts';
import type { Tables } from './tables.ts';
import { isOurInterface } from './workload/plug.ts';

export class Hints {
  readonly #settings: FelixSettings;
  readonly #tables: Tables;
  readonly #loop: Loop;
  readonly #batch: Batch;
  readonly #log: FelixLog;
  readonly #indexes = new Map<string, number>();
  /** Pod interfaces that are administratively down, as far as events told. */
  readonly #down = new Set<string>();

  constructor(parts: { settings: FelixSettings; tables: Tables; loop: Loop; batch: Batch; log: FelixLog }) {
    this.#settings = parts.settings;
    this.#tables = parts.tables;
    this.#loop = parts.loop;
    this.#batch = parts.batch;
    this.#log = parts.log;
  }

  /** Takes one hint. */
  take(hint: Hint): void {
    if (hint.kind === 'link') this.#learnIndex(hint.name, hint.index, hint.deleted);
    if (hint.kind === 'route' && this.#isOurs(hint.route)) {
      if (this.#ourRouteMatters(hint.route, hint.deleted)) this.#loop.suspectRoute(hint.route.prefix);
      return;
    }
    if (!this.#matters(hint)) return;
    if (hint.kind === 'lost') this.#log.warn({ reason: hint.reason }, 'kernel events lost, reading everything back');
    this.#loop.suspect();
  }

  #matters(hint: Hint): boolean {
    switch (hint.kind) {
      case 'lost':
      case 'listening':
        return true;
      case 'address':
        return !this.#isPodInterface(hint.name);
      case 'link':
        return this.#isPodInterface(hint.name) ? this.#podLinkChanged(hint) : true;
      case 'nexthop':
        return this.#loop.routes.isNexthopNews(hint.nexthop, hint.deleted);
      case 'route':
        return this.#foreignRouteMatters(hint.route);
    }
  }

  #isOurs(route: Route): boolean {
    return route.protocol === this.#settings.routeProtocol && route.metric === this.#settings.metric;
  }

  #ourRouteMatters(route: Route, deleted: boolean): boolean {
    const wanted = this.#loop.routes.desired.get(route.prefix);
    return deleted ? wanted !== undefined : wanted === undefined || !sameRoute(route, wanted);
  }

  /** The kernel's own routes on a pod interface (fe80::/64) come and go with pods. */
  #foreignRouteMatters(route: Route): boolean {
    const isWanted = this.#loop.routes.desired.has(route.prefix);
    return isWanted || !route.nextHops.some((hop) => this.#isPodInterface(hop.device));
  }

  /** A wired pod's host end went away, or came up again without the IPv4 routes that going down took, in silence. */
  #podLinkChanged(hint: { readonly name: string; readonly deleted: boolean; readonly up: boolean }): boolean {
    const wasDown = this.#down.delete(hint.name);
    if (!hint.deleted && !hint.up) this.#down.add(hint.name);
    return this.#tables.workloads.has(hint.name) && (hint.deleted || !hint.up || wasDown);
  }

  #learnIndex(name: string, index: number, deleted: boolean): void {
    const known = this.#indexes.get(name);
    if (known !== undefined && known !== index && !deleted) this.#batch.forget(name);
    if (deleted) this.#indexes.delete(name);
    else this.#indexes.set(name, index);
    if (deleted) this.#batch.forget(name);
  }

  #isPodInterface(name: string): boolean {
    return isOurInterface(name, this.#settings.interfacePrefix);
  }
}
