/**
 * Many speakers in one process: wires in memory, virtual time, one seed.
 *
 * A wire delivers in order, after a random delay, cut into random pieces; a node can be killed (its connections break,
 * as when a kernel closes the sockets of a dead process) or cut off (nothing arrives and nobody is told). Everything is
 * a function of the seed; what went over the wires is kept, and printed as a Mermaid sequence when a scenario fails.
 */
import {
  type BestPathBatch,
  createSpeaker,
  type DialHandlers,
  type DialTarget,
  type PeerSpec,
  type Speaker,
  type SpeakerConfig,
  type Transport,
  type Wire,
  type WireHandlers,
} from '#bgp';
import { type Ip, type Prefix, parseIp, parsePrefix } from '#net';
import { createVirtualTimers, type TimerHandle, type Timers } from '#reconcile';

const MESSAGE_NAMES = ['?', 'OPEN', 'UPDATE', 'NOTIFICATION', 'KEEPALIVE', 'ROUTE-REFRESH'];
const WIRE_CAPACITY = 64 * 1024;

/** mulberry32: small, and the same on every machine. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

interface End {
  readonly owner: Ip;
  readonly remote: Ip;
  handlers: WireHandlers | undefined;
  early: Uint8Array[];
  open: boolean;
  inFlight: number;
  full: boolean;
  lastArrivalMs: number;
}

export class Network {
  readonly timers = createVirtualTimers();
  readonly random: () => number;
  readonly trace: string[] = [];
  readonly #listeners = new Map<Ip, (wire: Wire) => void>();
  readonly #ends = new Set<{ readonly end: End; readonly peer: End }>();
  readonly #cut = new Set<Ip>();
  readonly #stalled = new Set<Ip>();
  readonly seed: number;

  constructor(seed: number) {
    this.seed = seed;
    this.random = createRandom(seed);
  }

  /** Transport of the node that owns this address. */
  transport(owner: Ip): Transport {
    return {
      listen: (_at, accept) => {
        this.#listeners.set(owner, accept);
        return Promise.resolve({ close: () => void this.#listeners.delete(owner) });
      },
      dial: (target, handlers) => this.#dial(owner, target, handlers),
    };
  }

  /** From now on nothing reaches or leaves the node, and nobody is told. */
  cut(address: Ip): void {
    this.#cut.add(address);
  }

  heal(address: Ip): void {
    this.#cut.delete(address);
  }

  /** The node's process is stopped: it reads nothing, and what was sent to it stays under way. */
  stall(address: Ip): void {
    this.#stalled.add(address);
  }

  /** Bytes written towards a node and not read by it. */
  inFlight(address: Ip): number {
    let bytes = 0;
    for (const { end } of this.#ends) if (end.remote === address) bytes += end.inFlight;
    return bytes;
  }

  /** The node's process is gone: its kernel closes the connections. */
  drop(address: Ip): void {
    this.#listeners.delete(address);
    for (const pair of this.#ends) {
      if (pair.end.owner !== address) continue;
      pair.end.open = false;
      this.#close(pair.end, pair.peer, 'connection reset by peer');
    }
  }

  mermaid(last = 60): string {
    return ['sequenceDiagram', ...this.trace.slice(-last)].join('\n  ');
  }

  #delayMs(): number {
    return 0.2 + this.random() * 5;
  }

  #dial(owner: Ip, target: DialTarget, handlers: DialHandlers): { abort(): void } {
    let aborted = false;
    this.timers.set(() => {
      if (this.#cut.has(owner) || this.#cut.has(target.address)) return;
      const accept = this.#listeners.get(target.address);
      if (accept === undefined) {
        this.timers.set(() => (aborted ? undefined : handlers.failed('ECONNREFUSED')), this.#delayMs());
        return;
      }
      const [near, far] = this.#pair(owner, target.address);
      accept(this.#wire(far, near));
      this.timers.set(() => {
        if (aborted) this.#close(near, far, 'connection reset by peer');
        else if (near.open) handlers.connected(this.#wire(near, far));
      }, this.#delayMs());
    }, this.#delayMs());
    return { abort: () => void (aborted = true) };
  }

  #pair(a: Ip, b: Ip): [End, End] {
    const make = (owner: Ip, remote: Ip): End => ({
      owner,
      remote,
      handlers: undefined,
      early: [],
      open: true,
      inFlight: 0,
      full: false,
      lastArrivalMs: 0,
    });
    const near = make(a, b);
    const far = make(b, a);
    this.#ends.add({ end: near, peer: far }).add({ end: far, peer: near });
    return [near, far];
  }

  #wire(end: End, peer: End): Wire {
    return {
      remote: end.remote,
      local: end.owner,
      open: (handlers) => {
        end.handlers = handlers;
        const early = end.early.splice(0);
        this.timers.set(() => {
          for (const chunk of early) if (end.open) handlers.data(chunk);
        }, 0);
      },
      write: (bytes) => this.#write(end, peer, bytes.slice()),
      end: () => this.#close(end, peer, 'connection closed by the peer'),
      destroy: () => this.#close(end, peer, 'connection reset by peer'),
    };
  }

  #write(end: End, peer: End, bytes: Uint8Array): boolean {
    this.#note(end, bytes);
    let offset = 0;
    while (offset < bytes.length) {
      const length = this.random() < 0.3 ? 1 + Math.floor(this.random() * 40) : bytes.length - offset;
      const chunk = bytes.subarray(offset, offset + length);
      offset += chunk.length;
      end.inFlight += chunk.length;
      this.#later(end, peer, () => {
        end.inFlight -= chunk.length;
        if (peer.open && peer.handlers === undefined) peer.early.push(chunk);
        else if (peer.open) peer.handlers?.data(chunk);
        if (!end.full || end.inFlight > 0) return;
        end.full = false;
        if (end.open) end.handlers?.drained();
      });
    }
    end.full ||= end.inFlight > WIRE_CAPACITY;
    return !end.full;
  }

  #close(end: End, peer: End, reason: string): void {
    end.open = false;
    this.#later(end, peer, () => {
      if (!peer.open) return;
      peer.open = false;
      peer.handlers?.closed(reason);
    });
  }

  /** In order of writing, as TCP; lost while either node is cut off. */
  #later(end: End, peer: End, arrive: () => void): void {
    const arrivalMs = Math.max(end.lastArrivalMs, this.timers.now() + this.#delayMs());
    end.lastArrivalMs = arrivalMs;
    this.timers.set(() => {
      if (!this.#cut.has(end.owner) && !this.#cut.has(peer.owner) && !this.#stalled.has(peer.owner)) arrive();
    }, arrivalMs - this.timers.now());
  }

  #note(end: End, bytes: Uint8Array): void {
    const at = (this.timers.now() / 1000).toFixed(3);
    for (let offset = 0; offset + 19 <= bytes.length; ) {
      const type = MESSAGE_NAMES[bytes[offset + 18] ?? 0];
      const detail = type === 'NOTIFICATION' ? ` ${bytes[offset + 19]}/${bytes[offset + 20]}` : '';
      this.trace.push(`${end.owner}->>${end.remote}: ${at} ${type}${detail}`);
      offset += ((bytes[offset + 16] ?? 0) << 8) | (bytes[offset + 17] ?? 19);
    }
  }
}

/** A node: a speaker and the routes its kernel would hold. */
export class Node {
  readonly name: string;
  readonly address: Ip;
  readonly kernel = new Map<Prefix, readonly Ip[]>();
  /** Best-path batches, and when a prefix was reported gone. */
  readonly lost: Prefix[] = [];
  inSync = false;
  speaker: Speaker;
  readonly #network: Network;
  readonly #as: number;
  #alive: { yes: boolean };

  constructor(network: Network, name: string, options: { readonly address: string; readonly as: number }) {
    this.#network = network;
    this.name = name;
    this.address = parseIp(options.address);
    this.#as = options.as;
    this.#alive = { yes: true };
    this.speaker = this.#createSpeaker(false, this.#alive);
  }

  get as(): number {
    return this.#as;
  }

  async start(peers: readonly PeerSpec[], originated: readonly string[]): Promise<void> {
    await this.speaker.start();
    this.speaker.setPeers(peers);
    this.originate(originated);
  }

  originate(prefixes: readonly string[]): void {
    this.speaker.setOriginated(prefixes.map((text) => ({ prefix: parsePrefix(text) })));
  }

  /** SIGKILL: no code of the speaker runs any more, its sockets are closed by the kernel. */
  kill(): void {
    this.#alive.yes = false;
    this.#network.drop(this.address);
  }

  /** A new process on the same node; the kernel's routes have survived if `restarting`. */
  reborn(restarting: boolean, changes: Partial<SpeakerConfig> = {}): void {
    this.#alive = { yes: true };
    this.inSync = false;
    if (!restarting) this.kernel.clear();
    this.speaker = this.#createSpeaker(restarting, this.#alive, changes);
  }

  #createSpeaker(restarting: boolean, alive: { readonly yes: boolean }, changes: Partial<SpeakerConfig> = {}): Speaker {
    const { timers, random } = this.#network;
    const config: SpeakerConfig = {
      as: this.#as,
      routerId: this.address,
      listen: [{ address: this.address, port: 179 }],
      gracefulRestart: { restartTimeSec: 120, restarting },
      addresses: [this.address],
      ...changes,
    };
    const own: Timers = {
      now: () => timers.now(),
      set: (callback, delayMs) => timers.set(() => (alive.yes ? callback() : undefined), delayMs),
      clear: (handle: TimerHandle) => timers.clear(handle),
    };
    const silent = (): void => {};
    const speaker = createSpeaker({
      config,
      timers: own,
      random,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      transport: this.#network.transport(this.address),
      wallClock: () => timers.now(),
    });
    speaker.onBestPaths((batch) => this.#apply(batch));
    return speaker;
  }

  /** As felix does: add at once, remove only when in sync. */
  #apply(batch: BestPathBatch): void {
    this.inSync = batch.inSync;
    for (const { prefix, nextHops } of batch.changes) {
      if (nextHops.length > 0) this.kernel.set(prefix, nextHops);
      else if (this.kernel.delete(prefix)) this.lost.push(prefix);
    }
  }
}

/** A peer as the mesh has it, with whatever the scenario wants different. */
export function peerSpec(node: Node, changes: Partial<PeerSpec> = {}): PeerSpec {
  return {
    name: node.name,
    address: node.address,
    port: 179,
    as: node.as,
    passive: false,
    holdTimeSec: 90,
    connectRetrySec: 5,
    families: [4, 6],
    nextHopSelf: {},
    gracefulRestart: true,
    import: { rules: [], default: 'accept' },
    export: { rules: [], default: 'accept' },
    label: 'mesh',
    ...changes,
  };
}

/** Run a scenario; on failure say the seed and what went over the wires. */
export async function withNetwork(seed: number, run: (network: Network) => Promise<void>): Promise<void> {
  const network = new Network(seed);
  try {
    await run(network);
  } catch (error) {
    throw new Error(`seed ${seed}\n  ${network.mermaid()}`, { cause: error });
  }
}
