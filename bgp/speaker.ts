/**
 * A BGP-4 speaker: listeners, peers, and the pipeline between their RIBs (RFC 4271 §3.2).
 *
 * Peers hand received routes to their exchange, which changes the Loc-RIB; everything that follows from that is
 * pipeline.ts. After stop() nothing is reported: the caller's kernel must not change.
 */
import type { Prefix } from '#net';
import { diff, type TimerHandle } from '#reconcile';
import { Exchange } from './exchange.ts';
import { CeaseSubcode } from './iana.ts';
import { Listening } from './listening.ts';
import {
  ceaseFor,
  FORGET_MS,
  isGone,
  localParameters,
  type PeerEntry,
  refuse,
  sameValue,
  sessionPart,
  socketOptions,
} from './peer-entry.ts';
import { PeerConfig } from './peer-config.ts';
import { admittedPeer, rangeLimitOf } from './peer-table.ts';
import { Pipeline, type PullingSpeaker } from './pipeline.ts';
import type { PackedBestPaths } from './rib/outbox.ts';
import { LOCAL_SOURCE, localRoute } from './rib/path.ts';
import { Deferral, isCollision } from './session/graceful-restart.ts';
import type { LocalParameters } from './session/negotiate.ts';
import { Peer, type PeerHooks } from './session/peer.ts';
import { createTcpTransport } from './session/tcp-transport.ts';
import type { Transport, Wire } from './session/transport.ts';
import type {
  BestPathBatch,
  OriginatedRoute,
  PeerChange,
  PeerSpec,
  PeerStatus,
  ResetKind,
  RouteView,
  SpeakerOptions,
} from './speaker-types.ts';
import { enforceLimit, forgetSuspension, limitOf, resume, reviewLimit } from './suspension.ts';
import { viewPeer, viewRange, viewRoutes } from './views.ts';
import type { UpdateMessage } from './wire/update.ts';

const DEFERRAL_SEC = 60;
/** What a Cease gets to leave the socket before the caller may exit. */
const SHUTDOWN_MS = 100;

/** A speaker that does nothing yet; start() opens its listeners. */
export function createSpeaker(options: SpeakerOptions): PullingSpeaker {
  return new BgpSpeaker(options);
}

class BgpSpeaker implements PullingSpeaker {
  readonly #options: SpeakerOptions;
  readonly #transport: Transport;
  readonly #listening: Listening;
  readonly #config: PeerConfig;
  readonly #entries = new Map<string, PeerEntry>();
  readonly #pipeline: Pipeline;
  readonly #deferral = new Deferral();
  #originated: ReadonlyMap<Prefix, OriginatedRoute> | undefined;
  #peerChange: (change: PeerChange) => void = () => {};
  #deferralTimer: TimerHandle | undefined;
  #stopped = false;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#transport = options.transport ?? createTcpTransport();
    this.#listening = new Listening(this.#transport);
    this.#config = new PeerConfig(options.log);
    this.#pipeline = new Pipeline({
      timers: options.timers,
      exchanges: () => [...this.#entries.values()].map(({ exchange }) => exchange),
      inSync: () => this.#deferral.over,
    });
  }

  async start(): Promise<void> {
    await this.#listening.open(this.#options.config.listen, (wire) => this.#accept(wire));
    this.#protect();
  }

  async stop(mode: 'restart' | 'shutdown'): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { timers } = this.#options;
    this.#pipeline.stop();
    if (this.#deferralTimer !== undefined) timers.clear(this.#deferralTimer);
    this.#listening.close();
    for (const entry of this.#entries.values()) {
      forgetSuspension(entry, timers);
      if (mode === 'shutdown') entry.exchange.withdrawAll();
      const cease = mode === 'restart' ? undefined : ceaseFor(entry, CeaseSubcode.administrativeShutdown);
      entry.peer.stop(cease, mode === 'restart' ? 'restarting' : 'shutting down');
      entry.exchange.remove();
    }
    if (mode === 'restart') return;
    const { promise, resolve } = Promise.withResolvers<void>();
    timers.set(resolve, SHUTDOWN_MS);
    await promise;
  }

  setPeers(peers: readonly PeerSpec[]): void {
    if (this.#stopped) return;
    const before = this.#config.specs;
    const specs = this.#config.configure(peers, this.#entries.values());
    const { add, change, remove } = diff(specs, before, sameValue);
    const reset = [...change.values()].filter(({ from, to }) => !sameValue(sessionPart(from), sessionPart(to)));
    for (const name of remove.keys()) this.#remove(name, CeaseSubcode.peerDeconfigured);
    for (const { from } of reset) this.#remove(from.name, CeaseSubcode.otherConfigurationChange);
    const added = [...add.values(), ...reset.map(({ to }) => to)];
    const created = added.map((spec) => this.#create(spec, undefined));
    for (const { to } of change.values()) this.#reconfigure(to);
    this.#deferral.configure(add.keys(), remove.keys());
    this.#armDeferral();
    this.#protect();
    for (const entry of created) if (entry.refused === undefined) entry.peer.start();
    this.#wake();
  }

  reset(peer: string, kind: ResetKind): Promise<boolean> {
    const entry = this.#stopped ? undefined : this.#entries.get(peer);
    if (entry === undefined) return Promise.resolve(false);
    const { families } = entry.spec;
    if (kind === 'soft-in') entry.exchange.ask(families);
    else if (kind === 'soft-out') entry.exchange.resend(families);
    else {
      entry.peer.stop(ceaseFor(entry, CeaseSubcode.administrativeReset), 'reset');
      resume(entry, this.#options.timers);
    }
    return Promise.resolve(true);
  }

  peerGone(peer: string): void {
    this.#entries.get(peer)?.exchange.forget();
  }

  setOriginated(routes: readonly OriginatedRoute[]): void {
    if (this.#stopped) return;
    const desired = new Map(routes.map((route) => [route.prefix, route]));
    const before: ReadonlyMap<Prefix, OriginatedRoute> = this.#originated ?? new Map();
    const { add, change, remove } = diff(desired, before, sameValue);
    this.#originated = desired;
    const { locRib, table } = this.#pipeline;
    for (const prefix of remove.keys()) locRib.retract(table.intern(prefix), LOCAL_SOURCE.name);
    for (const route of [...add.values(), ...[...change.values()].map(({ to }) => to)]) {
      locRib.offer(table.intern(route.prefix), localRoute(route.communities ?? []));
    }
    this.#wake();
  }

  peers(): Promise<readonly PeerStatus[]> {
    const entries = [...this.#entries.values()].map((entry) => {
      const policyFault = this.#config.policyFault(entry.range ?? entry.spec.name);
      return viewPeer(entry, { limit: limitOf(entry, this.#options.config), policyFault });
    });
    const ranges = [...this.#config.ranges.values()].map((spec) => viewRange(spec, this.#whyRefused(spec, spec.name)));
    return Promise.resolve([...entries, ...ranges]);
  }

  routes(): Promise<readonly RouteView[]> {
    return Promise.resolve(viewRoutes(this.#pipeline.locRib, [...this.#entries.values()]));
  }

  onBestPaths(listener: (batch: BestPathBatch) => void): void {
    this.#pipeline.onBestPaths(listener);
  }

  onBestPathsReady(listener: () => void): void {
    this.#pipeline.onBestPathsReady(listener);
  }

  takeBestPaths(limit: number): PackedBestPaths | undefined {
    return this.#pipeline.takeBestPaths(limit);
  }

  onPeerChange(listener: (change: PeerChange) => void): void {
    this.#peerChange = listener;
  }

  /** In one thread with its caller the speaker cannot die alone. */
  onFatal(): void {}

  #accept(wire: Wire): void {
    const refused = this.#stopped ? 'stopping' : this.#admit(wire);
    if (refused === undefined) return;
    this.#options.log.debug('connection refused', { address: wire.remote, reason: refused });
    wire.destroy();
  }

  /** Returns why not. Nothing of the connection has been read yet. */
  #admit(wire: Wire): string | undefined {
    const match = this.#config.match(wire);
    if (match === undefined) return 'no peer has this address';
    if (!this.#listening.admits(wire.remote, this.#options.timers.now())) return 'too many connections';
    const { spec, range } = match;
    const entry = spec === undefined ? this.#admitFrom(range, wire) : this.#entries.get(spec.name);
    if (entry === undefined) return 'the range is full';
    if (entry.refused !== undefined) return entry.refused;
    const options = socketOptions(entry.spec);
    const asks = Object.keys(options).length > 0;
    const fault = asks && wire.secure === undefined ? 'no socket options' : wire.secure?.(options);
    if (fault === undefined) entry.peer.accept(wire);
    else entry.reason = `connection refused: ${fault}`;
    return fault;
  }

  /** A range makes a peer of an address when it first connects. */
  #admitFrom(range: PeerSpec | undefined, { remote }: Wire): PeerEntry | undefined {
    if (range === undefined) return undefined;
    const admitted = [...this.#entries.values()].filter((entry) => entry.range === range.name);
    if (admitted.length >= rangeLimitOf(range)) return undefined;
    const spec = admittedPeer(range, remote);
    this.#config.admit(spec);
    const entry = this.#create(spec, range.name);
    entry.refused = this.#whyRefused(range, range.name);
    if (entry.refused === undefined) entry.peer.start();
    this.#forgetWhenGone(entry);
    return entry;
  }

  /** An admitted peer stays as long as it has a session or stale routes. */
  #forgetWhenGone(entry: PeerEntry): void {
    const { name } = entry.spec;
    this.#options.timers.set(() => {
      if (this.#stopped || this.#entries.get(name) !== entry) return;
      if (!isGone(entry)) this.#forgetWhenGone(entry);
      else {
        this.#remove(name, CeaseSubcode.peerDeconfigured);
        this.#config.forget(name);
      }
    }, FORGET_MS);
  }

  /** Listen as the peers need it; those that cannot be protected have no session, those that now can get one. */
  #protect(): void {
    const { ranges } = this.#config;
    const entries = [...this.#entries.values()];
    const configured = entries.flatMap(({ spec, range }) => (range === undefined ? [spec] : []));
    this.#listening.protect([...ranges.values(), ...configured]);
    for (const entry of entries) {
      const source = ranges.get(entry.range ?? '') ?? entry.spec;
      const reason = this.#whyRefused(source, entry.range ?? entry.spec.name);
      if (reason === entry.refused) continue;
      entry.refused = reason;
      if (reason === undefined) resume(entry, this.#options.timers);
      else {
        this.#options.log.error('session refused', { peer: entry.spec.name, reason });
        refuse(entry, reason);
        this.#deferral.complete(entry.spec.name);
      }
    }
  }

  #whyRefused(spec: PeerSpec, name: string): string | undefined {
    const options = socketOptions(spec);
    return this.#config.refused(name) ?? this.#transport.whyNot?.(options) ?? this.#listening.whyNot(spec);
  }

  #create(spec: PeerSpec, range: string | undefined): PeerEntry {
    const { config, timers, random, wallClock = Date.now } = this.#options;
    const exchange = new Exchange({
      spec,
      config,
      timers,
      locRib: this.#pipeline.locRib,
      groups: this.#pipeline.groups,
      write: (bytes) => entry.peer.write(bytes),
      wake: () => this.#wake(),
      complete: () => {
        this.#deferral.complete(spec.name);
        this.#wake();
      },
      grown: () => enforceLimit(entry, this.#options),
      mayEndOfRib: () => this.#originated !== undefined && (!config.gracefulRestart.restarting || this.#deferral.over),
    });
    const peer = new Peer({
      target: () => ({
        address: spec.address,
        port: spec.port,
        localAddress: spec.localAddress,
        options: socketOptions(entry.spec),
      }),
      settings: { passive: spec.passive, connectRetrySec: spec.connectRetrySec },
      transport: this.#transport,
      timers,
      random,
      hooks: this.#hooks(spec.name),
    });
    const entry: PeerEntry = {
      spec,
      peer,
      exchange,
      sinceMs: wallClock(),
      reason: 'configured',
      flaps: 0,
      wasEstablished: false,
      refused: undefined,
      limit: 'below',
      suspended: undefined,
      range,
    };
    this.#entries.set(spec.name, entry);
    return entry;
  }

  #hooks(name: string): PeerHooks {
    const withEntry = (act: (entry: PeerEntry) => void): void => {
      const entry = this.#entries.get(name);
      if (entry !== undefined) act(entry);
    };
    return {
      parameters: () => this.#parameters(name),
      established: (negotiated, localAddress) =>
        withEntry((entry) => {
          entry.wasEstablished = true;
          entry.exchange.established(negotiated, localAddress);
        }),
      down: (down) =>
        withEntry((entry) => {
          if (!isCollision(down)) entry.flaps += 1;
          entry.limit = 'below';
          entry.exchange.down(down);
        }),
      deliver: (message) =>
        withEntry(({ exchange }) => {
          if (message.type === 'route-refresh') exchange.refresh(message);
          else this.#update(name, exchange, message);
        }),
      drained: () => withEntry(({ exchange }) => exchange.drained()),
      transition: (change) => withEntry((entry) => this.#transition(entry, change)),
    };
  }

  #parameters(name: string): LocalParameters {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`peer ${name} opened a connection after its removal`);
    return localParameters(entry, this.#options.config, this.#deferral.over);
  }

  #update(peer: string, exchange: Exchange, message: UpdateMessage): void {
    const [error] = message.errors;
    if (error !== undefined) {
      const { attribute, treatment, reason } = error;
      this.#options.log.warn('malformed attribute', { peer, attribute, treatment, reason });
    }
    exchange.update(message);
  }

  #transition(entry: PeerEntry, change: Omit<PeerChange, 'peer'>): void {
    const { from, to, reason } = change;
    const peer = entry.spec.name;
    if (from !== 'idle' || to !== 'idle') entry.reason = reason; // else a connection turned away
    if (from !== to) entry.sinceMs = (this.#options.wallClock ?? Date.now)();
    const level = from === 'established' || to === 'established' ? 'info' : 'debug';
    this.#options.log[level]('session changed', { peer, old: from, new: to, reason });
    if (!this.#stopped) this.#peerChange({ peer, from, to, reason });
  }

  #reconfigure(spec: PeerSpec): void {
    const entry = this.#entries.get(spec.name);
    if (entry === undefined || entry.spec === spec) return;
    const before = entry.spec;
    entry.spec = spec;
    entry.exchange.reconfigure(spec);
    reviewLimit(entry, before, this.#options);
    if (before.password === spec.password) return;
    const fault = entry.peer.secure(socketOptions(spec));
    if (fault !== undefined) this.#options.log.error('key not changed', { peer: spec.name, reason: fault });
  }

  #remove(name: string, subcode: number): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    const reason = subcode === CeaseSubcode.peerDeconfigured ? 'peer removed' : 'configuration changed';
    entry.peer.stop(ceaseFor(entry, subcode), reason);
    entry.exchange.remove();
    forgetSuspension(entry, this.#options.timers);
    this.#entries.delete(name);
  }

  #armDeferral(): void {
    if (this.#deferral.over || this.#deferralTimer !== undefined) return;
    const sec = this.#options.config.gracefulRestart.deferralSec ?? DEFERRAL_SEC;
    this.#deferralTimer = this.#options.timers.set(() => {
      const waiting = [...this.#deferral.waiting].slice(0, 5).join(' ');
      if (!this.#deferral.over) this.#options.log.warn('no longer waiting for End-of-RIB', { peers: waiting });
      this.#deferral.expire();
      this.#wake();
    }, sec * 1000);
  }

  #wake(): void {
    this.#pipeline.wake();
  }
}
