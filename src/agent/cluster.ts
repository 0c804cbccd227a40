// The cluster as the agent sees it: one informer per kind, joined into one ClusterView. The only file that knows kinds.
//
// Until every kind has been listed once, the last good configuration of an earlier run stands in (after a short wait, so
// that a healthy API is preferred). From then on the informers' tables are the truth: they keep the last valid value of
// every object and never forget because of an error.
import {
  DEFAULT_BGP_CONFIGURATION,
  DEFAULT_IPAM_CONFIGURATION,
  Informer,
  parseBGPConfiguration,
  parseBGPPeer,
  parseIPAMConfiguration,
  parseIPPool,
  parseIPReservation,
  parseNamespace,
  parseNode,
  resources,
  type KubeClient,
  type KubeObject,
  type ParseResult,
  type ResourceDef,
} from '#kube';
import type { Log } from '#observe';
import type { ClusterView, NamespaceObject } from './cluster-view.ts';
import type { Tools } from './tools.ts';

export interface ClusterParts {
  readonly client: KubeClient;
  /** What an earlier run knew. */
  readonly snapshot: ClusterView | undefined;
}

/** How one kind is doing, for metrics and people. */
export interface KindState {
  readonly kind: string;
  readonly inSync: boolean;
  readonly fault: string | undefined;
  readonly invalid: readonly { readonly name: string; readonly reason: string }[];
}

export interface Cluster {
  start(): void;
  stop(): Promise<void>;
  /** Every kind has been listed: what is absent does not exist. */
  readonly inSync: boolean;
  /** Undefined while nothing is known at all. */
  view(): ClusterView | undefined;
  /** A Namespace as last seen; one made a moment ago may be missing. */
  namespace(name: string): NamespaceObject | undefined;
  kinds(): readonly KindState[];
  /** Why nothing is known, undefined once something is. */
  fault(): string | undefined;
  /** What a person should know: API away, invalid objects. */
  note(): string | undefined;
}

/** A healthy API answers sooner; an agent must serve from the snapshot within 5 s. */
const snapshotAfterMs = 2500;

export function createCluster(tools: Tools, parts: ClusterParts): Cluster {
  return new WatchedCluster(tools, parts);
}

class WatchedCluster implements Cluster {
  readonly #tools: Tools;
  readonly #parts: ClusterParts;
  readonly #log: Log;
  readonly #invalidTold = new Map<string, string>();
  readonly #nodes;
  readonly #pools;
  readonly #peers;
  readonly #bgp;
  readonly #ipam;
  readonly #reservations;
  readonly #namespaces;
  #startedMs = Number.POSITIVE_INFINITY;

  constructor(tools: Tools, parts: ClusterParts) {
    this.#tools = tools;
    this.#parts = parts;
    this.#log = tools.log.child('cluster');
    this.#nodes = this.#inform(resources.nodes, parseNode);
    this.#pools = this.#inform(resources.ipPools, parseIPPool);
    this.#peers = this.#inform(resources.bgpPeers, parseBGPPeer);
    this.#bgp = this.#inform(resources.bgpConfigurations, parseBGPConfiguration);
    this.#ipam = this.#inform(resources.ipamConfigurations, parseIPAMConfiguration);
    this.#reservations = this.#inform(resources.ipReservations, parseIPReservation);
    this.#namespaces = this.#inform(resources.namespaces, parseNamespace);
  }

  #inform<T>(resource: ResourceDef, parse: (object: KubeObject) => ParseResult<T>) {
    const { timers, random } = this.#tools;
    const { client } = this.#parts;
    const log = this.#log;
    return {
      kind: resource.kind,
      informer: new Informer<T>({ client, resource, parse, timers, random, log, onChange: () => this.#changed() }),
    };
  }

  get #all() {
    return [this.#nodes, this.#pools, this.#peers, this.#bgp, this.#ipam, this.#reservations, this.#namespaces];
  }

  start(): void {
    const { timers } = this.#tools;
    this.#startedMs = timers.now();
    timers.set(() => this.#changed(), snapshotAfterMs);
    for (const { informer } of this.#all) informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map(({ informer }) => informer.stop()));
  }

  get inSync(): boolean {
    return this.#all.every(({ informer }) => informer.inSync);
  }

  view(): ClusterView | undefined {
    if (!this.inSync) {
      const waitedMs = this.#tools.timers.now() - this.#startedMs;
      return waitedMs >= snapshotAfterMs ? this.#parts.snapshot : undefined;
    }
    return {
      nodes: [...this.#nodes.informer.items.values()],
      pools: [...this.#pools.informer.items.values()],
      reserved: [...this.#reservations.informer.items.values()].flatMap(({ cidrs }) => cidrs),
      peers: [...this.#peers.informer.items.values()],
      bgp: this.#bgp.informer.items.get('default') ?? DEFAULT_BGP_CONFIGURATION,
      ipam: this.#ipam.informer.items.get('default') ?? DEFAULT_IPAM_CONFIGURATION,
    };
  }

  namespace(name: string): NamespaceObject | undefined {
    return this.#namespaces.informer.items.get(name);
  }

  kinds(): readonly KindState[] {
    return this.#all.map(({ kind, informer }) => ({
      kind,
      inSync: informer.inSync,
      fault: informer.fault,
      invalid: [...informer.invalid].map(([name, { reason }]) => ({ name, reason })),
    }));
  }

  fault(): string | undefined {
    if (this.view() !== undefined) return undefined;
    const late = this.kinds().find((kind) => !kind.inSync);
    return `${late?.kind ?? 'a kind'} has not been listed: ${late?.fault ?? 'no answer yet'}`;
  }

  note(): string | undefined {
    const kinds = this.kinds();
    const faults = kinds.flatMap(({ kind, fault }) => (fault === undefined ? [] : [`${kind}: ${fault}`]));
    const invalid = kinds.flatMap((state) =>
      state.invalid.map(({ name, reason }) => `${state.kind} ${name}: ${reason}`),
    );
    const notes = [
      ...(this.inSync ? [] : ['serving from the last good configuration']),
      ...faults.slice(0, 1),
      ...invalid,
    ];
    return notes.length === 0 ? undefined : notes.join('; ');
  }

  #changed(): void {
    this.#tellInvalid();
    this.#tools.changed();
  }

  #tellInvalid(): void {
    for (const { kind, invalid } of this.kinds()) {
      for (const { name, reason } of invalid) {
        const key = `${kind} ${name}`;
        if (this.#invalidTold.get(key) === reason) continue;
        this.#invalidTold.set(key, reason);
        this.#log.warn('object is invalid, its last valid form stays in force', { kind, object: name, reason });
      }
    }
  }
}
