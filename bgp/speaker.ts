/**
 * A BGP-4 speaker: listeners, peers, and the pipeline between their RIBs (RFC 4271 §3.2).
 *
 * Peers hand received routes to their exchange, which changes the Loc-RIB; everything that follows from that (decision,
 * best-path batches, updates to the other peers) happens once per tick of a few milliseconds, so that a burst costs one
 * decision per prefix and one write per peer. After stop() nothing is reported: the caller's kernel must not change.
 */
import type { Ip, Prefix } from '#net';
import { diff, type TimerHandle, type Timers } from '#reconcile';
import { Exchange } from './exchange.ts';
import { CeaseSubcode, ErrorCode } from './iana.ts';
import { type BestChange, LocRib } from './rib/loc-rib.ts';
import { LOCAL_SOURCE, localPath } from './rib/path.ts';
import { notification } from './session/fsm.ts';
import { Deferral, hardReset, isCollision } from './session/graceful-restart.ts';
import type { LocalParameters } from './session/negotiate.ts';
import { Peer, type PeerHooks } from './session/peer.ts';
import { tcpTransport } from './session/tcp-transport.ts';
import type { Listener, Transport, Wire } from './session/transport.ts';
import type {
  BestPathBatch,
  BestPathChange,
  OriginatedRoute,
  PeerChange,
  PeerSpec,
  PeerStatus,
  RouteView,
  Speaker,
  SpeakerConfig,
  SpeakerLog,
} from './speaker-types.ts';
import { viewPeer, viewRoutes } from './views.ts';
import { encodeShutdownText, type NotificationMessage } from './wire/notification.ts';
import type { UpdateMessage } from './wire/update.ts';

const TICK_MS = 2;
const DEFERRAL_SEC = 60;
/** What a Cease gets to leave the socket before the caller may exit. */
const SHUTDOWN_MS = 100;

export interface SpeakerOptions {
  readonly config: SpeakerConfig;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: SpeakerLog;
  /** TCP unless a test brings its own. */
  readonly transport?: Transport;
  /** Milliseconds since 1970; only shown, never compared. */
  readonly wallClock?: () => number;
}

/** One peer with all that belongs to it. */
export interface PeerEntry {
  spec: PeerSpec;
  readonly peer: Peer;
  readonly exchange: Exchange;
  sinceMs: number;
  reason: string;
  flaps: number;
  /** Our forwarding state is known to have outlived a session of ours · F bit. */
  wasEstablished: boolean;
}

/** A speaker that does nothing yet; start() opens its listeners. */
export function createSpeaker(options: SpeakerOptions): Speaker {
  return new BgpSpeaker(options);
}

class BgpSpeaker implements Speaker {
  readonly #options: SpeakerOptions;
  readonly #transport: Transport;
  readonly #entries = new Map<string, PeerEntry>();
  readonly #byAddress = new Map<Ip, PeerEntry>();
  readonly #locRib = new LocRib();
  readonly #deferral = new Deferral();
  #specs: ReadonlyMap<string, PeerSpec> = new Map();
  #originated: ReadonlyMap<Prefix, OriginatedRoute> | undefined;
  #listeners: readonly Listener[] = [];
  #bestPaths: (batch: BestPathBatch) => void = () => {};
  #peerChange: (change: PeerChange) => void = () => {};
  #tick: TimerHandle | undefined;
  #deferralTimer: TimerHandle | undefined;
  #reportedInSync = false;
  #stopped = false;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#transport = options.transport ?? tcpTransport;
  }

  async start(): Promise<void> {
    const opening = this.#options.config.listen.map((at) => this.#transport.listen(at, (wire) => this.#accept(wire)));
    const results = await Promise.allSettled(opening);
    this.#listeners = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    for (const listener of this.#listeners) listener.close();
    throw failed.reason;
  }

  async stop(mode: 'restart' | 'shutdown'): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const { timers } = this.#options;
    for (const handle of [this.#tick, this.#deferralTimer]) if (handle !== undefined) timers.clear(handle);
    for (const listener of this.#listeners) listener.close();
    for (const entry of this.#entries.values()) {
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
    const specs = this.#distinct(peers);
    const { add, change, remove } = diff(specs, this.#specs, sameValue);
    this.#specs = specs;
    const reset = [...change.values()].filter(({ from, to }) => !sameValue(sessionPart(from), sessionPart(to)));
    for (const name of remove.keys()) this.#remove(name, CeaseSubcode.peerDeconfigured);
    for (const { from } of reset) this.#remove(from.name, CeaseSubcode.otherConfigurationChange);
    const added = [...add.values(), ...reset.map(({ to }) => to)];
    const created = added.map((spec) => this.#create(spec));
    for (const { to } of change.values()) this.#reconfigure(to);
    this.#deferral.configure(add.keys(), remove.keys());
    this.#armDeferral();
    for (const entry of created) entry.peer.start();
    this.#wake();
  }

  setOriginated(routes: readonly OriginatedRoute[]): void {
    if (this.#stopped) return;
    const desired = new Map(routes.map((route) => [route.prefix, route]));
    const before: ReadonlyMap<Prefix, OriginatedRoute> = this.#originated ?? new Map();
    const { add, change, remove } = diff(desired, before, sameValue);
    this.#originated = desired;
    for (const prefix of remove.keys()) this.#locRib.retract(LOCAL_SOURCE.name, prefix);
    for (const route of [...add.values(), ...[...change.values()].map(({ to }) => to)]) {
      this.#locRib.offer(localPath(route.prefix, route.communities ?? []));
    }
    this.#wake();
  }

  peers(): Promise<readonly PeerStatus[]> {
    return Promise.resolve([...this.#entries.values()].map(viewPeer));
  }

  routes(): Promise<readonly RouteView[]> {
    return Promise.resolve(viewRoutes(this.#locRib, [...this.#entries.values()]));
  }

  onBestPaths(listener: (batch: BestPathBatch) => void): void {
    this.#bestPaths = listener;
  }

  onPeerChange(listener: (change: PeerChange) => void): void {
    this.#peerChange = listener;
  }

  /** In one thread with its caller the speaker cannot die alone. */
  onFatal(): void {}

  #accept(wire: Wire): void {
    const entry = this.#byAddress.get(wire.remote);
    if (entry !== undefined && !this.#stopped) {
      entry.peer.accept(wire);
      return;
    }
    this.#options.log.debug('refused connection from an address that is no peer', { address: wire.remote });
    wire.destroy();
  }

  /** Incoming connections are told apart by address, so two peers cannot share one. */
  #distinct(peers: readonly PeerSpec[]): ReadonlyMap<string, PeerSpec> {
    const specs = new Map<string, PeerSpec>();
    const owners = new Map<Ip, string>();
    for (const spec of peers) {
      const owner = owners.get(spec.address);
      if (owner === undefined) {
        owners.set(spec.address, spec.name);
        specs.set(spec.name, spec);
      } else {
        this.#options.log.error('peer ignored: address taken', { peer: spec.name, address: spec.address, owner });
      }
    }
    return specs;
  }

  #create(spec: PeerSpec): PeerEntry {
    const { config, timers, random, wallClock = Date.now } = this.#options;
    const exchange = new Exchange({
      spec,
      config,
      timers,
      locRib: this.#locRib,
      write: (bytes) => entry.peer.write(bytes),
      wake: () => this.#wake(),
      complete: () => this.#complete(spec.name),
      limitExceeded: (limit) => {
        const cease = ceaseFor(entry, CeaseSubcode.maximumPrefixes);
        entry.peer.fail({ ...cease, message: `more than ${limit} prefixes received` });
      },
      mayEndOfRib: () => this.#originated !== undefined && (!config.gracefulRestart.restarting || this.#deferral.over),
    });
    const peer = new Peer({
      target: { address: spec.address, port: spec.port, localAddress: spec.localAddress },
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
    };
    this.#entries.set(spec.name, entry);
    this.#byAddress.set(spec.address, entry);
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
    const { config } = this.#options;
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`peer ${name} opened a connection after its removal`);
    const { spec, wasEstablished } = entry;
    const { restartTimeSec, restarting } = config.gracefulRestart;
    return {
      as: spec.localAs ?? config.as,
      peerAs: spec.as,
      routerId: config.routerId,
      holdTimeSec: spec.holdTimeSec,
      keepaliveSec: spec.keepaliveSec,
      families: spec.families,
      gracefulRestart: spec.gracefulRestart
        ? {
            restartTimeSec,
            restarting: restarting && !this.#deferral.over,
            forwarding: restarting || wasEstablished,
          }
        : undefined,
    };
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
    entry.reason = reason;
    if (from !== to) entry.sinceMs = (this.#options.wallClock ?? Date.now)();
    const level = from === 'established' || to === 'established' ? 'info' : 'debug';
    this.#options.log[level]('session changed', { peer, old: from, new: to, reason });
    if (!this.#stopped) this.#peerChange({ peer, from, to, reason });
  }

  #reconfigure(spec: PeerSpec): void {
    const entry = this.#entries.get(spec.name);
    if (entry === undefined || entry.spec === spec) return;
    entry.spec = spec;
    entry.exchange.reconfigure(spec);
  }

  #remove(name: string, subcode: number): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    const reason = subcode === CeaseSubcode.peerDeconfigured ? 'peer removed' : 'configuration changed';
    entry.peer.stop(ceaseFor(entry, subcode), reason);
    entry.exchange.remove();
    this.#entries.delete(name);
    this.#byAddress.delete(entry.spec.address);
  }

  #complete(name: string): void {
    this.#deferral.complete(name);
    this.#wake();
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
    if (this.#tick !== undefined || this.#stopped) return;
    this.#tick = this.#options.timers.set(() => {
      this.#tick = undefined;
      this.#run();
    }, TICK_MS);
  }

  #run(): void {
    const changes = this.#locRib.decide();
    const entries = [...this.#entries.values()];
    for (const { prefix } of changes) for (const { exchange } of entries) exchange.touch(prefix);
    this.#report(changes);
    for (const { exchange } of entries) exchange.flush();
  }

  #report(changes: readonly BestChange[]): void {
    const learned = changes.filter(({ nextHopsChanged }) => nextHopsChanged).map(toBestPathChange);
    const inSync = this.#deferral.over;
    if (learned.length === 0 && inSync === this.#reportedInSync) return;
    this.#reportedInSync = inSync;
    this.#bestPaths({ changes: learned, inSync });
  }
}

function toBestPathChange({ prefix, nextHops, best, previous }: BestChange): BestPathChange {
  const kinds = [best?.source.kind, previous?.source.kind];
  return { prefix, nextHops, source: kinds.find((kind) => kind !== undefined && kind !== 'local') ?? 'ibgp' };
}

/** RFC 8538 §3.1: where NOTIFICATIONs keep routes, an intended end has to be a Hard Reset. */
function ceaseFor({ peer }: PeerEntry, subcode: number): NotificationMessage {
  const text = subcode === CeaseSubcode.administrativeShutdown ? encodeShutdownText('shutting down') : undefined;
  const cease = notification(ErrorCode.cease, subcode, text);
  return peer.negotiated?.gracefulRestart?.notification ? hardReset(cease) : cease;
}

/** What cannot change without a new OPEN or a new connection. */
function sessionPart(spec: PeerSpec): object {
  const { import: _i, export: _e, nextHopSelf: _n, nextHop: _h, description: _d, label: _l, ...rest } = spec;
  const { allowedLocalAs: _a, enforceFirstAs: _f, gracefulShutdown: _g, ...session } = rest;
  return session;
}

/** Structural equality of plain data whose keys come in a fixed order. */
function sameValue(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
