/**
 * The routing side of one peer: its Adj-RIB-In and Adj-RIB-Out, its policies, and the graceful restart helper
 * (RFC 4271 §3.2, RFC 4724 §4.2).
 *
 * Life of a route: deliver → import verdict → Adj-RIB-In → Loc-RIB; back out: touch → export verdict → Adj-RIB-Out →
 * packed UPDATEs, as long as the connection takes them. The Loc-RIB holds of this peer exactly the accepted routes of
 * its Adj-RIB-In, stale ones included: staleness must not change the selection.
 */
import type { Family, Ip, Prefix } from '#net';
import type { TimerHandle, Timers } from '#reconcile';
import { AttributeMemo } from './policy/changes.ts';
import { AdjRibIn } from './rib/adj-rib-in.ts';
import { AdjRibOut, type RouteOut } from './rib/adj-rib-out.ts';
import { type ExportTarget, exportPath } from './rib/export.ts';
import { changePath, type ImportContext, judgeImport } from './rib/import.ts';
import type { LocRib } from './rib/loc-rib.ts';
import type { Path, PathSource } from './rib/path.ts';
import type { Down } from './session/fsm.ts';
import { preservedFamilies, retainedFamilies, STALE_SEC } from './session/graceful-restart.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { PeerSpec, RuleCount, SpeakerConfig } from './speaker-types.ts';
import { fromAfiSafi } from './wire/family.ts';
import { encodeEndOfRib, encodeUpdates } from './wire/pack.ts';
import type { RouteRefreshMessage } from './wire/route-refresh.ts';
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
  /** The peer has told more prefixes than it may. */
  readonly limitExceeded: (limit: number) => void;
  /** Our own side is complete: End-of-RIB may follow the initial update. */
  readonly mayEndOfRib: () => boolean;
}

interface Link {
  readonly negotiated: Negotiated;
  readonly target: ExportTarget;
  readonly endOfRibAwaited: Set<Family>;
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
    this.#link = { negotiated, target, endOfRibAwaited: awaited, endOfRibSent: false, full: false };
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

  update(message: UpdateMessage): void {
    for (const prefix of message.withdrawn) if (this.ribIn.withdraw(prefix)) this.#retract([prefix]);
    const { attributes } = message;
    const source = this.#source;
    if (attributes !== undefined && source !== undefined) {
      for (const { prefix, nextHop } of message.announced) this.#learn({ prefix, nextHop, attributes, source });
    }
    if (message.endOfRib !== undefined) this.#endOfRib(message.endOfRib);
    this.#options.wake();
    const { maxPrefixes } = this.#spec;
    if (maxPrefixes !== undefined && this.ribIn.received > maxPrefixes) this.#options.limitExceeded(maxPrefixes);
  }

  /** RFC 2918 §4, RFC 7313 §4: any subtype but a request is not for us. */
  refresh(message: RouteRefreshMessage): void {
    const family = fromAfiSafi(message.afi, message.safi);
    if (family === undefined || message.subtype !== 0) return;
    this.ribOut.refresh(family);
    this.#options.wake();
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
    while (this.ribOut.pending > 0 && !link.full) {
      const changes = this.ribOut.drain((prefix) => this.#resolve(prefix, link.target), DRAIN_LIMIT);
      for (const bytes of encodeUpdates(changes, link.negotiated.context)) this.#send(link, bytes);
    }
    if (link.endOfRibSent || this.ribOut.pending > 0 || !this.#options.mayEndOfRib()) return;
    link.endOfRibSent = true;
    for (const family of link.negotiated.families) this.#send(link, encodeEndOfRib(family));
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

  #learn(path: Path): void {
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
    this.#staleTimer = undefined;
    this.#quietTimer = undefined;
  }
}

function importContext(spec: PeerSpec, config: SpeakerConfig): ImportContext {
  return {
    localAs: spec.localAs ?? config.as,
    routerId: config.routerId,
    addresses: config.addresses,
    policy: spec.import,
    allowedLocalAs: spec.allowedLocalAs ?? 0,
    peerAs: spec.enforceFirstAs === false ? undefined : spec.as,
    clusterId: clusterOf(config),
    requirePolicy: config.requireEbgpPolicy ?? false,
  };
}

/** RFC 4456 §7: the router id, where one reflector is a cluster of its own. */
function clusterOf({ clusterId, routerId }: SpeakerConfig): Ip {
  return clusterId ?? routerId;
}

function exportTarget(from: {
  readonly spec: PeerSpec;
  readonly config: SpeakerConfig;
  readonly negotiated: Negotiated;
  readonly localAddress: Ip | undefined;
}): ExportTarget {
  const { spec, config, negotiated, localAddress } = from;
  return {
    name: spec.name,
    peerType: negotiated.peerType,
    localAs: spec.localAs ?? config.as,
    families: negotiated.families,
    nextHopSelf: spec.nextHopSelf,
    localAddress,
    policy: spec.export,
    requirePolicy: config.requireEbgpPolicy ?? false,
    nextHop: spec.nextHop,
    client: spec.routeReflectorClient === true,
    clusterId: clusterOf(config),
    peerRouterId: negotiated.peerRouterId,
    gracefulShutdown: spec.gracefulShutdown,
    memo: new AttributeMemo(),
    cache: new WeakMap(),
  };
}
