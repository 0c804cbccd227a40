/**
 * The routing side of one peer: its Adj-RIB-In and Adj-RIB-Out, its policies, and the graceful restart helper
 * (RFC 4271 §3.2, RFC 4724 §4.2).
 *
 * A peer that asks for its routes again gets them between two markers where both sides know them (RFC 2918, RFC 7313).
 *
 * Life of a route: deliver → import verdict → Adj-RIB-In → Loc-RIB; back out: touch → export verdict → Adj-RIB-Out →
 * packed UPDATEs, as long as the connection takes them. The Loc-RIB holds of this peer exactly the accepted routes of
 * its Adj-RIB-In, stale ones included: staleness must not change the selection.
 */
import type { Family, Ip, Prefix } from '#net';
import type { TimerHandle, Timers } from '#reconcile';
import { RefreshSubtype } from './iana.ts';
import { AttributeMemo } from './policy/changes.ts';
import { exportTarget, importContext } from './exchange-context.ts';
import { AdjRibIn } from './rib/adj-rib-in.ts';
import { AdjRibOut, type RouteOut } from './rib/adj-rib-out.ts';
import { type ExportTarget, exportPath } from './rib/export.ts';
import { changePath, type ImportContext, judgeImport } from './rib/import.ts';
import type { LocRib } from './rib/loc-rib.ts';
import { RefreshSweep } from './rib/refresh.ts';
import type { Path, PathSource } from './rib/path.ts';
import type { Down } from './session/fsm.ts';
import { preservedFamilies, retainedFamilies, STALE_SEC } from './session/graceful-restart.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { PeerSpec, RuleCount, SpeakerConfig } from './speaker-types.ts';
import { fromAfiSafi, toAfiSafi } from './wire/family.ts';
import { encodeEndOfRib, encodeUpdates } from './wire/pack.ts';
import { encodeRouteRefresh, type RouteRefreshMessage } from './wire/route-refresh.ts';
import type { UpdateMessage } from './wire/update.ts';

/** Prefixes looked at per write, so that one peer's large feed does not hold up the others. */
const DRAIN_LIMIT = 4096;
/** A peer that sends no End-of-RIB is taken to have told all after this long. */
const QUIET_SEC = 5;

export interface ExchangeOptions {
  readonly spec: PeerSpec;
  readonly config: SpeakerConfig;
  readonly locRib: LocRib;
  readonly timers: Timers;
  /** Encoded messages to the peer; false when full. */
  readonly write: (bytes: Uint8Array) => boolean;
  /** The Loc-RIB or this peer's output has work. */
  readonly wake: () => void;
  /** The peer has told all it had. */
  readonly complete: () => void;
  /** The peer has told more than before. */
  readonly grown: () => void;
  /** Our own side is complete: End-of-RIB may follow the initial update. */
  readonly mayEndOfRib: () => boolean;
}

interface Link {
  readonly negotiated: Negotiated;
  readonly target: ExportTarget;
  readonly endOfRibAwaited: Set<Family>;
  /** Families the peer wants to hear again, between markers. */
  readonly refreshAsked: Set<Family>;
  /** Begin marker sent, end marker not. */
  readonly refreshing: Set<Family>;
  endOfRibSent: boolean;
  full: boolean;
}

export class Exchange {
  readonly ribIn = new AdjRibIn();
  readonly ribOut = new AdjRibOut();
  readonly #memo = new AttributeMemo();
  readonly #options: ExchangeOptions;
  readonly #counts = new Map<string, RuleCount>();
  #spec: PeerSpec;
  #importContext: ImportContext;
  #source: PathSource | undefined;
  #link: Link | undefined;
  readonly #sweep = new RefreshSweep();
  #refreshTimer: TimerHandle | undefined;
  #staleTimer: TimerHandle | undefined;
  #quietTimer: TimerHandle | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#spec = options.spec;
    this.#importContext = importContext(options.spec, options.config);
  }

  get importRules(): readonly RuleCount[] {
    return [...this.#counts.values()];
  }

  established(negotiated: Negotiated, localAddress: Ip | undefined): void {
    this.#source = {
      name: this.#spec.name,
      kind: negotiated.peerType,
      address: this.#spec.address,
      routerId: negotiated.peerRouterId,
      client: this.#spec.routeReflectorClient === true,
    };
    const target = exportTarget({ spec: this.#spec, config: this.#options.config, negotiated, localAddress });
    const awaited = new Set(negotiated.families);
    this.#link = {
      negotiated,
      target,
      endOfRibAwaited: awaited,
      refreshAsked: new Set(),
      refreshing: new Set(),
      endOfRibSent: false,
      full: false,
    };
    this.#resumeStale(negotiated);
    this.#awaitCompletion(negotiated);
    this.ribOut.clear();
    for (const prefix of this.#options.locRib.prefixes()) this.ribOut.touch(prefix);
    this.#options.wake();
  }

  down(down: Down): void {
    const peer = this.#link?.negotiated.gracefulRestart;
    this.#link = undefined;
    this.ribOut.clear();
    this.#sweep.clear();
    this.#clearTimers();
    this.#retract(this.ribIn.markStale(retainedFamilies(down, peer)));
    if (peer !== undefined && this.ribIn.stale > 0) this.#sweepAfter(peer.restartTimeSec);
    this.#options.wake();
  }

  /** The peer is no longer configured: nothing of it stays. */
  remove(): void {
    this.#link = undefined;
    this.#clearTimers();
    this.ribOut.clear();
    this.#retract(this.ribIn.markStale([]));
    this.#retract(this.ribIn.sweep());
    this.#options.wake();
  }

  /** The peer is known not to come back: what was kept for it goes now. */
  forget(): void {
    if (this.#link !== undefined || this.ribIn.stale === 0) return;
    this.#clearTimers();
    this.#retract(this.ribIn.sweep());
    this.#options.wake();
  }

  update(message: UpdateMessage): void {
    for (const prefix of message.withdrawn) this.#withdraw(prefix);
    const { attributes } = message;
    const source = this.#source;
    if (attributes !== undefined && source !== undefined) {
      for (const { prefix, nextHop } of message.announced) this.#learn({ prefix, nextHop, attributes, source });
    }
    if (message.endOfRib !== undefined) this.#endOfRib(message.endOfRib);
    this.#options.wake();
    if (message.announced.length > 0) this.#options.grown();
  }

  /** RFC 2918 §4, RFC 7313 §4; families that were not negotiated and unknown subtypes are ignored. */
  refresh(message: RouteRefreshMessage): void {
    const family = fromAfiSafi(message.afi, message.safi);
    const link = this.#link;
    if (family === undefined || !link?.negotiated.families.includes(family)) return;
    if (message.subtype === RefreshSubtype.request) this.resend([family]);
    else if (!link.negotiated.enhancedRefresh) return;
    else if (message.subtype === RefreshSubtype.begin) this.#beginRefresh(family);
    else if (message.subtype === RefreshSubtype.end) this.#endRefresh(family);
  }

  /** Tell all of these families again (soft reset out). */
  resend(families: readonly Family[]): void {
    const link = this.#link;
    if (link === undefined) return;
    for (const family of families) {
      if (link.negotiated.enhancedRefresh) link.refreshAsked.add(family);
      else this.ribOut.refresh(family);
    }
    this.#options.wake();
  }

  /** Have the peer tell all again, or judge again what it told where it cannot (soft reset in). */
  ask(families: readonly Family[]): void {
    const link = this.#link;
    if (link === undefined) return;
    if (link.negotiated.routeRefresh) {
      for (const family of families) this.#send(link, refreshMessage(family, RefreshSubtype.request));
    } else {
      for (const { path } of this.ribIn.values()) this.#judgeAgain(path);
      this.#options.wake();
    }
  }

  /** New policies or next hops: judge again what is known and told, without touching the session. */
  reconfigure(spec: PeerSpec): void {
    this.#spec = spec;
    this.#importContext = importContext(spec, this.#options.config);
    for (const { path } of this.ribIn.values()) this.#judgeAgain(path);
    if (this.#link !== undefined) {
      const { negotiated, target } = this.#link;
      const { localAddress } = target;
      const next = exportTarget({ spec, config: this.#options.config, negotiated, localAddress });
      this.#link = { ...this.#link, target: next };
      for (const prefix of this.#options.locRib.prefixes()) this.ribOut.touch(prefix);
      this.ribOut.touchSent();
    }
    this.#options.wake();
  }

  touch(prefix: Prefix): void {
    if (this.#link !== undefined) this.ribOut.touch(prefix);
  }

  drained(): void {
    if (this.#link !== undefined) this.#link.full = false;
    this.flush();
  }

  /** Tell the peer what is pending, as long as the connection takes it; End-of-RIB once when all is told. */
  flush(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#markBegin(link);
    while (this.ribOut.pending > 0 && !link.full) {
      const changes = this.ribOut.drain((prefix) => this.#resolve(prefix, link.target), DRAIN_LIMIT);
      for (const bytes of encodeUpdates(changes, link.negotiated.context)) this.#send(link, bytes);
    }
    if (this.ribOut.pending > 0) return;
    for (const family of link.refreshing) this.#send(link, refreshMessage(family, RefreshSubtype.end));
    link.refreshing.clear();
    if (link.endOfRibSent || !this.#options.mayEndOfRib()) return;
    link.endOfRibSent = true;
    for (const family of link.negotiated.families) this.#send(link, encodeEndOfRib(family));
    if (link.refreshAsked.size > 0) this.#options.wake();
  }

  /** RFC 7313 §4.1: no refresh before the initial update is over. */
  #markBegin(link: Link): void {
    if (!link.endOfRibSent || link.full) return;
    for (const family of link.refreshAsked) {
      this.#send(link, refreshMessage(family, RefreshSubtype.begin));
      link.refreshing.add(family);
      this.ribOut.refresh(family);
    }
    link.refreshAsked.clear();
  }

  /** Take everything back before a shutdown. */
  withdrawAll(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.ribOut.touchSent();
    const changes = this.ribOut.drain(() => undefined, Number.POSITIVE_INFINITY);
    for (const bytes of encodeUpdates(changes, link.negotiated.context)) this.#send(link, bytes);
  }

  #send(link: Link, bytes: Uint8Array): void {
    if (!this.#options.write(bytes)) link.full = true;
  }

  #resolve(prefix: Prefix, target: ExportTarget): RouteOut | undefined {
    const best = this.#options.locRib.best(prefix);
    return best === undefined ? undefined : exportPath(best, target).route;
  }

  #withdraw(prefix: Prefix): void {
    this.#sweep.seen(prefix);
    if (this.ribIn.withdraw(prefix)) this.#retract([prefix]);
  }

  #beginRefresh(family: Family): void {
    this.#sweep.begin(
      family,
      [...this.ribIn.values()].map(({ path }) => path.prefix),
    );
    const { timers } = this.#options;
    if (this.#refreshTimer !== undefined) timers.clear(this.#refreshTimer);
    this.#refreshTimer = timers.set(() => {
      for (const open of this.#sweep.open) this.#endRefresh(open);
    }, STALE_SEC * 1000);
  }

  #endRefresh(family: Family): void {
    for (const prefix of this.#sweep.end(family)) this.#withdraw(prefix);
    this.#options.wake();
  }

  #learn(path: Path): void {
    this.#sweep.seen(path.prefix);
    const { refused, used } = this.#judge(path);
    this.ribIn.announce({ path, refused });
    this.#publish(path.prefix, used);
  }

  #judgeAgain(path: Path): void {
    const { refused, used } = this.#judge(path);
    this.ribIn.judge(path.prefix, refused);
    this.#publish(path.prefix, used);
  }

  /** Why not, or the path as the policy wants it; the received one stays in Adj-RIB-In for the next policy. */
  #judge(path: Path): { readonly refused: string | undefined; readonly used: Path | undefined } {
    const { refused, rule, set } = judgeImport(path, this.#importContext);
    this.#countRule(rule ?? refused ?? 'default', refused === undefined ? 'accept' : 'reject');
    return { refused, used: refused === undefined ? changePath(path, set, this.#memo) : undefined };
  }

  #countRule(rule: string, action: RuleCount['action']): void {
    const key = `${action} ${rule}`;
    this.#counts.set(key, { rule, action, count: (this.#counts.get(key)?.count ?? 0) + 1 });
  }

  #publish(prefix: Prefix, used: Path | undefined): void {
    if (used !== undefined) this.#options.locRib.offer(used);
    else this.#options.locRib.retract(this.#spec.name, prefix);
  }

  #retract(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) this.#options.locRib.retract(this.#spec.name, prefix);
  }

  #endOfRib(family: Family): void {
    this.#retract(this.ribIn.sweep(family));
    const link = this.#link;
    if (link === undefined) return;
    link.endOfRibAwaited.delete(family);
    if (link.endOfRibAwaited.size > 0) return;
    this.#clearTimers();
    this.#options.complete();
  }

  /** The peer is back: families it did not preserve lose their stale routes now, the others at End-of-RIB. */
  #resumeStale(negotiated: Negotiated): void {
    this.#clearTimers();
    const preserved = preservedFamilies(negotiated);
    for (const family of [4, 6] as const) if (!preserved.includes(family)) this.#retract(this.ribIn.sweep(family));
    if (this.ribIn.stale > 0) this.#sweepAfter(STALE_SEC);
  }

  /** RFC 4724 §4.1: a peer that restarts itself is not waited for; one without the capability only for a moment. */
  #awaitCompletion({ gracefulRestart }: Negotiated): void {
    if (gracefulRestart?.restarting) this.#options.complete();
    else if (gracefulRestart === undefined) {
      this.#quietTimer = this.#options.timers.set(() => this.#options.complete(), QUIET_SEC * 1000);
    }
  }

  #sweepAfter(sec: number): void {
    this.#staleTimer = this.#options.timers.set(() => {
      this.#retract(this.ribIn.sweep());
      this.#options.wake();
    }, sec * 1000);
  }

  #clearTimers(): void {
    const { timers } = this.#options;
    if (this.#staleTimer !== undefined) timers.clear(this.#staleTimer);
    if (this.#quietTimer !== undefined) timers.clear(this.#quietTimer);
    if (this.#refreshTimer !== undefined) timers.clear(this.#refreshTimer);
    this.#refreshTimer = undefined;
    this.#staleTimer = undefined;
    this.#quietTimer = undefined;
  }
}

function refreshMessage(family: Family, subtype: number): Uint8Array {
  return encodeRouteRefresh({ type: 'route-refresh', ...toAfiSafi(family), subtype });
}
