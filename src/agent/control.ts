// The one loop that joins the parts: what the cluster, IPAM and the kernel say → what Felix and the speaker should do.
//
// Each run computes everything anew from levels and hands whole tables on; Felix and the speaker find the differences.
// Invariants: a table is marked in sync only when its source was read completely, so nothing is removed before; a block is
// originated only when it is confirmed and its blackhole is in the kernel; the first origination waits until every block
// known at start is programmed, because End-of-RIB tells restarted-from peers to forget what was not repeated (RFC 4724).
import type { PeerSpec, PeerStatus, Speaker } from '#bgp';
import type { Felix } from '#felix';
import type { Prefix } from '#net';
import { Worker } from '#reconcile';
import { advertisedRoutes } from './advertised.ts';
import type { Cluster } from './cluster.ts';
import type { Snapshot } from './snapshot.ts';
import { addressList, identify, identityChange, type Identity } from './identity.ts';
import type { Ipam } from './ipam-loop.ts';
import { readLocalInterfaces } from './local-interfaces.ts';
import { desiredPeers } from './peers.ts';
import { poolFaults } from './pools.ts';
import type { Tools } from './tools.ts';
import type { Workloads } from './workloads.ts';

export interface ControlParts {
  readonly identity: Identity;
  readonly cluster: Cluster;
  readonly ipam: Ipam;
  readonly felix: Felix;
  readonly speaker: Speaker;
  readonly workloads: Workloads;
  /** Stand for our blocks until the allocator has read them back. */
  readonly lastBlocks: readonly Prefix[];
}

/** What the last run decided, for readiness, status and /debug/state. */
interface ControlState {
  readonly confirmed: readonly Prefix[];
  readonly originated: readonly Prefix[];
  readonly peers: readonly PeerSpec[];
  /** What could not be followed, in words. */
  readonly peerFaults: readonly string[];
  readonly poolFaults: readonly string[];
  /** The speaker was told what we originate. */
  readonly originating: boolean;
}

export interface Control {
  start(): void;
  stop(): Promise<void>;
  /** Something changed: cheap, safe to call too often. */
  trigger(): void;
  state(): ControlState;
  /** Resolves when `blocks` are originated, at once when no peer is Established, or after the configured wait. */
  readonly advertised: (blocks: readonly Prefix[]) => Promise<void>;
  /** What to keep for a start without the API; undefined while what is known is not complete. */
  snapshot(): Snapshot | undefined;
  /** A run ended: readiness and status may have changed. */
  onRun(listener: () => void): void;
  /** The agent cannot go on as who it is: address, AS number or port changed. */
  onIdentityChange(listener: (what: string) => void): void;
  failures(): number;
}

const resyncMs = 30_000;
/** Longest wait for the kernel before the first origination: a refused blackhole must not keep the other blocks back. */
const firstOriginationMs = 5000;

export function createControl(tools: Tools, parts: ControlParts): Control {
  return new ControlLoop(tools, parts);
}

class ControlLoop implements Control {
  readonly #tools: Tools;
  readonly #parts: ControlParts;
  #onRun: () => void = () => undefined;
  #onIdentityChange: (what: string) => void = () => undefined;
  readonly #worker: Worker;
  readonly #startedMs: number;
  #identity: Identity;
  #state: ControlState = {
    confirmed: [],
    originated: [],
    peers: [],
    peerFaults: [],
    poolFaults: [],
    originating: false,
  };
  readonly #waiting = new Set<() => void>();

  constructor(tools: Tools, parts: ControlParts) {
    this.#tools = tools;
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#startedMs = tools.timers.now();
    this.#worker = new Worker({
      name: 'control',
      run: () => this.#run(),
      timers: tools.timers,
      random: tools.random,
      resyncMs,
      onError: (error, attempt) => tools.log.warn('control loop failed', { err: error, attempt }),
    });
  }

  start(): void {
    this.#parts.felix.onProgrammed(() => this.#worker.trigger());
    this.#parts.ipam.allocator.onBlocksChanged(() => this.#worker.trigger());
    this.#worker.start();
  }

  stop(): Promise<void> {
    return this.#worker.stop();
  }

  trigger(): void {
    this.#worker.trigger();
  }

  state(): ControlState {
    return this.#state;
  }

  failures(): number {
    return this.#worker.status().failures;
  }

  onIdentityChange(listener: (what: string) => void): void {
    this.#onIdentityChange = listener;
  }

  snapshot(): Snapshot | undefined {
    const { cluster, ipam } = this.#parts;
    const view = cluster.view();
    return cluster.inSync && ipam.recovered() && view !== undefined ? { view, blocks: this.#confirmed() } : undefined;
  }

  onRun(listener: () => void): void {
    this.#onRun = listener;
  }

  readonly advertised = async (blocks: readonly Prefix[]): Promise<void> => {
    const { timers, settings } = this.#tools;
    const { speaker } = this.#parts;
    const told = (): boolean => blocks.every((block) => this.#state.originated.includes(block) || !this.#isTold(block));
    this.#worker.trigger();
    if (told()) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        timers.clear(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (told()) finish();
      };
      const timer = timers.set(finish, settings.advertiseWaitMs);
      this.#waiting.add(look);
      // A peer that is not there now hears of the block when it comes.
      const alone = (peers: readonly PeerStatus[]): boolean => peers.every((peer) => peer.state !== 'established');
      Promise.resolve(speaker.peers()).then((peers) => (alone(peers) ? finish() : undefined), finish);
    });
  };

  /** Whether peers are told about this block at all: it is ours, or soon to be, and its pool is not kept quiet. */
  #isTold(block: Prefix): boolean {
    const { cluster, ipam } = this.#parts;
    if (!ipam.allocator.blocks().some(({ cidr, affine }) => affine && cidr === block)) return false;
    const pools = cluster.view()?.pools ?? [];
    return advertisedRoutes({ confirmed: [block], programmed: [block], podAddresses: [], pools }).length > 0;
  }

  async #run(): Promise<void> {
    const { cluster, felix, ipam, workloads } = this.#parts;
    const view = cluster.view();
    if (view === undefined) return;
    await this.#checkIdentity();
    const confirmed = this.#confirmed();
    felix.setNode({ addresses: addressList(this.#identity.addresses) });
    felix.setPools(
      view.pools.map(({ cidr, natOutgoing }) => ({ cidr, natOutgoing })),
      cluster.inSync,
    );
    felix.setBlocks(confirmed, ipam.recovered());
    felix.setWorkloads(workloads.all(), workloads.complete);
    this.#tellSpeaker(confirmed);
    for (const look of this.#waiting) look();
    this.#onRun();
  }

  /** A node that vanished from the API keeps serving as it was; one that became someone else must start anew. */
  async #checkIdentity(): Promise<void> {
    const { settings } = this.#tools;
    const local = await readLocalInterfaces(settings.interfacePrefix);
    const found = identify(this.#identity.node.name, this.#parts.cluster.view(), local);
    if (!found.ok) return;
    // An interface that is down for a moment hides an address; only what the API says counts as a change.
    const change = found.faults.length > 0 ? undefined : identityChange(this.#identity, found.identity);
    if (change !== undefined) this.#onIdentityChange(change);
    this.#identity = { ...this.#identity, node: found.identity.node };
  }

  #confirmed(): readonly Prefix[] {
    const { ipam, lastBlocks } = this.#parts;
    if (!ipam.recovered()) return lastBlocks;
    return ipam.allocator
      .blocks()
      .filter((block) => block.affine)
      .map((block) => block.cidr);
  }

  #tellSpeaker(confirmed: readonly Prefix[]): void {
    const { cluster, felix, speaker, workloads } = this.#parts;
    const view = cluster.view();
    if (view === undefined) return;
    const programmed = felix.programmedBlocks();
    const podAddresses = workloads.all().flatMap((workload) => workload.addresses);
    const originated = advertisedRoutes({ confirmed, programmed, podAddresses, pools: view.pools });
    const prefixes = originated.map((route) => route.prefix);
    const { peers, faults } = desiredPeers({
      view,
      self: this.#identity.node,
      addresses: this.#identity.addresses,
      ownBlocks: confirmed,
      originated: prefixes,
    });
    speaker.setPeers(peers);
    const originating = this.#state.originating || this.#mayOriginate(confirmed, programmed);
    if (originating) speaker.setOriginated(originated);
    const overlaps = poolFaults(view.pools);
    this.#note([...faults, ...overlaps]);
    this.#state = {
      confirmed,
      originated: originating ? prefixes : [],
      peers,
      peerFaults: faults,
      poolFaults: overlaps,
      originating,
    };
  }

  #mayOriginate(confirmed: readonly Prefix[], programmed: readonly Prefix[]): boolean {
    const { ipam, lastBlocks } = this.#parts;
    if (!ipam.recovered() && lastBlocks.length === 0) return false;
    const held = new Set(programmed);
    return (
      confirmed.every((block) => held.has(block)) || this.#tools.timers.now() - this.#startedMs > firstOriginationMs
    );
  }

  #note(faults: readonly string[]): void {
    const known = [...this.#state.peerFaults, ...this.#state.poolFaults];
    for (const fault of faults.filter((text) => !known.includes(text))) {
      this.#tools.log.warn('configuration cannot be followed', { reason: fault });
    }
  }
}
