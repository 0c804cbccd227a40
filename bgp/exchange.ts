/**
 * The routing side of one peer: its Adj-RIB-In and Adj-RIB-Out, its policies, and the graceful restart helper
 * (RFC 4271 §3.2, RFC 4724 §4.2).
 *
 * A peer that asks for its routes again gets them between two markers where both sides know them (RFC 2918, RFC 7313).
 *
 * Life of a route: deliver → received.ts → Adj-RIB-In → Loc-RIB; back out: update group → packed UPDATEs, as long as the
 * connection takes them. Stale routes stay in the Loc-RIB: staleness must not change the selection.
 */
import type { Family, Ip } from '#net';
import type { TimerHandle, Timers } from '#reconcile';
import { exportTarget, importContext } from './exchange-context.ts';
import { RefreshSubtype } from './iana.ts';
import { Received } from './received.ts';
import type { AdjRibIn } from './rib/adj-rib-in.ts';
import type { LocRib } from './rib/loc-rib.ts';
import type { Member, UpdateGroup } from './rib/update-group.ts';
import type { UpdateGroups } from './rib/update-groups.ts';
import type { Down } from './session/fsm.ts';
import { preservedFamilies, retainedFamilies, STALE_SEC } from './session/graceful-restart.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { PeerSpec, RuleCount, SpeakerConfig } from './speaker-types.ts';
import { fromAfiSafi, toAfiSafi } from './wire/family.ts';
import { encodeEndOfRib } from './wire/pack.ts';
import { encodeRouteRefresh, type RouteRefreshMessage } from './wire/route-refresh.ts';
import type { UpdateMessage } from './wire/update.ts';

/** A peer that sends no End-of-RIB is taken to have told all after this long. */
const QUIET_SEC = 5;

export interface ExchangeOptions {
  readonly spec: PeerSpec;
  readonly config: SpeakerConfig;
  readonly locRib: LocRib;
  readonly groups: UpdateGroups;
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
  readonly localAddress: Ip | undefined;
  group: UpdateGroup;
  member: Member;
  readonly endOfRibAwaited: Set<Family>;
  /** Families the peer wants to hear again, between markers. */
  readonly refreshAsked: Set<Family>;
  /** Begin marker sent, end marker not. */
  readonly refreshing: Set<Family>;
  endOfRibSent: boolean;
}

export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #received: Received;
  #spec: PeerSpec;
  #link: Link | undefined;
  #refreshTimer: TimerHandle | undefined;
  #staleTimer: TimerHandle | undefined;
  #quietTimer: TimerHandle | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#spec = options.spec;
    const { spec, config, locRib } = options;
    this.#received = new Received(locRib, spec.name, importContext(spec, config));
  }

  get ribIn(): AdjRibIn {
    return this.#received.ribIn;
  }

  get importRules(): readonly RuleCount[] {
    return this.#received.importRules;
  }

  get advertised(): number {
    return this.#link?.member.advertised ?? 0;
  }

  /** Whether the peer has been told of the prefix. */
  isTold(id: number): boolean {
    const link = this.#link;
    return link !== undefined && link.group.isTold(link.member, id);
  }

  /** There is more to tell, and the connection takes it. */
  get hasWork(): boolean {
    const link = this.#link;
    return link !== undefined && !link.member.full && link.group.isBehind(link.member);
  }

  established(negotiated: Negotiated, localAddress: Ip | undefined): void {
    this.#received.open({
      name: this.#spec.name,
      kind: negotiated.peerType,
      address: this.#spec.address,
      routerId: negotiated.peerRouterId,
      client: this.#spec.routeReflectorClient === true,
    });
    const group = this.#groupFor(negotiated, localAddress);
    this.#link = {
      negotiated,
      localAddress,
      group,
      member: group.join(this.#memberOptions(negotiated)),
      endOfRibAwaited: new Set(negotiated.families),
      refreshAsked: new Set(),
      refreshing: new Set(),
      endOfRibSent: false,
    };
    this.#resumeStale(negotiated);
    this.#awaitCompletion(negotiated);
    this.#options.wake();
  }

  down(down: Down): void {
    const peer = this.#link?.negotiated.gracefulRestart;
    this.#unlink();
    this.#received.sweep.clear();
    this.#clearTimers();
    this.#received.retract(this.ribIn.markStale(retainedFamilies(down, peer)));
    if (peer !== undefined && this.ribIn.stale > 0) this.#sweepAfter(peer.restartTimeSec);
    this.#options.wake();
  }

  /** The peer is no longer configured: nothing of it stays. */
  remove(): void {
    this.#unlink();
    this.#clearTimers();
    this.#received.retract(this.ribIn.markStale([]));
    this.#received.retract(this.ribIn.sweep());
    this.#options.wake();
  }

  /** The peer is known not to come back: what was kept for it goes now. */
  forget(): void {
    if (this.#link !== undefined || this.ribIn.stale === 0) return;
    this.#clearTimers();
    this.#received.retract(this.ribIn.sweep());
    this.#options.wake();
  }

  update(message: UpdateMessage): void {
    const before = this.ribIn.received;
    this.#received.update(message);
    if (message.endOfRib !== undefined) this.#endOfRib(message.endOfRib);
    this.#options.wake();
    if (this.ribIn.received > before) this.#options.grown();
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
      else link.group.refresh(link.member, family);
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
      this.#received.judgeAgain();
      this.#options.wake();
    }
  }

  /** New policies or next hops: judge again what is known and told, without touching the session. */
  reconfigure(spec: PeerSpec): void {
    this.#spec = spec;
    this.#received.reconfigure(importContext(spec, this.#options.config));
    const link = this.#link;
    if (link !== undefined) {
      const { negotiated, localAddress, group, member } = link;
      const next = this.#groupFor(negotiated, localAddress);
      if (next !== group) {
        link.member = next.adopt(this.#memberOptions(negotiated), group, member);
        link.group = next;
        this.#options.groups.leave(group, member);
      }
    }
    this.#options.wake();
  }

  drained(): void {
    if (this.#link !== undefined) this.#link.member.full = false;
    this.flush();
    if (this.hasWork) this.#options.wake();
  }

  /** Tell the peer what it has not been told yet, as long as the connection takes it; End-of-RIB once when all is told. */
  flush(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#markBegin(link);
    link.group.catchUp(link.member);
    if (link.group.isBehind(link.member)) return;
    for (const family of link.refreshing) this.#send(link, refreshMessage(family, RefreshSubtype.end));
    link.refreshing.clear();
    if (link.endOfRibSent || !this.#options.mayEndOfRib()) return;
    link.endOfRibSent = true;
    for (const family of link.negotiated.families) this.#send(link, encodeEndOfRib(family));
    if (link.refreshAsked.size > 0) this.#options.wake();
  }

  /** RFC 7313 §4.1: no refresh before the initial update is over. */
  #markBegin(link: Link): void {
    if (!link.endOfRibSent || link.member.full) return;
    for (const family of link.refreshAsked) {
      this.#send(link, refreshMessage(family, RefreshSubtype.begin));
      link.refreshing.add(family);
      link.group.refresh(link.member, family);
    }
    link.refreshAsked.clear();
  }

  /** Take everything back before a shutdown. */
  withdrawAll(): void {
    const link = this.#link;
    if (link !== undefined) link.group.withdrawAll(link.member);
  }

  #groupFor(negotiated: Negotiated, localAddress: Ip | undefined): UpdateGroup {
    const target = exportTarget({ spec: this.#spec, config: this.#options.config, negotiated, localAddress });
    return this.#options.groups.groupFor(target, negotiated.context);
  }

  #memberOptions({ peerRouterId }: Negotiated) {
    return { name: this.#spec.name, routerId: peerRouterId, write: this.#options.write };
  }

  #unlink(): void {
    const link = this.#link;
    this.#link = undefined;
    if (link !== undefined) this.#options.groups.leave(link.group, link.member);
  }

  #send(link: Link, bytes: Uint8Array): void {
    if (!this.#options.write(bytes)) link.member.full = true;
  }

  #beginRefresh(family: Family): void {
    this.#received.beginRefresh(family);
    const { timers } = this.#options;
    if (this.#refreshTimer !== undefined) timers.clear(this.#refreshTimer);
    this.#refreshTimer = timers.set(() => {
      for (const open of this.#received.sweep.open) this.#endRefresh(open);
    }, STALE_SEC * 1000);
  }

  #endRefresh(family: Family): void {
    this.#received.endRefresh(family);
    this.#options.wake();
  }

  #endOfRib(family: Family): void {
    this.#received.retract(this.ribIn.sweep(family));
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
    for (const family of [4, 6] as const)
      if (!preserved.includes(family)) this.#received.retract(this.ribIn.sweep(family));
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
      this.#received.retract(this.ribIn.sweep());
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
