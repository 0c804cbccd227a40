// The cluster as the controller sees it: one informer per kind, joined into what collector and pool keeper judge by. The
// only file that knows kinds.
//
// Invariant: until every kind has been listed once there is no snapshot, and an object that cannot be understood is still
// there. Pods and Nodes are kept reduced to what is looked at: a large cluster has 150,000 pods.
import { type Block, type BlockAffinity, blockFaults } from '#ipam';
import {
  asKubeObject,
  DEFAULT_IPAM_CONFIGURATION,
  Informer,
  type IPPool,
  isRecord,
  type KubeClient,
  type KubeObject,
  parseBlockAffinity,
  parseIPAMBlock,
  parseIPAMConfiguration,
  parseIPPool,
  parseIPReservation,
  parsePod,
  type ParseResult,
  type ResourceDef,
  resources,
} from '#kube';
import type { Prefix } from '#net';
import type { FreshReader } from './collector.ts';
import type { NodeView, PodView, Seen, Snapshot } from './snapshot.ts';
import type { Tools } from './tools.ts';

/** How one kind is doing, for metrics and people. */
export interface KindState {
  readonly kind: string;
  readonly inSync: boolean;
  readonly fault: string | undefined;
  readonly invalid: readonly { readonly name: string; readonly reason: string }[];
}

/** What pools are judged by. */
export interface PoolSnapshot extends BlocksView {
  readonly pools: readonly IPPool[];
  /** Pools whose present form is invalid, by name, with the reason. */
  readonly invalidPools: ReadonlyMap<string, string>;
  readonly reserved: readonly Prefix[];
}

export interface BlocksView {
  readonly blocks: readonly Block[];
  /** Names of blocks that exist and cannot be understood. */
  readonly unreadableBlocks: readonly string[];
}

export interface Cluster {
  start(): void;
  stop(): Promise<void>;
  readonly inSync: boolean;
  /** Undefined until everything has been listed, and while a watch fails: old views make no evidence. */
  snapshot(): Snapshot | undefined;
  pools(): PoolSnapshot | undefined;
  cooldownSeconds(): number;
  kinds(): readonly KindState[];
  /** Why nothing can be judged yet. */
  fault(): string | undefined;
  /** What a person should know: API away, objects that are left out. */
  note(): string | undefined;
}

export function createCluster(tools: Tools, client: KubeClient): Cluster {
  return new WatchedCluster(tools, client);
}

class WatchedCluster implements Cluster {
  readonly #tools: Tools;
  readonly #client: KubeClient;
  readonly #told = new Map<string, string>();
  readonly #nodes;
  readonly #pods;
  readonly #blocks;
  readonly #affinities;
  readonly #pools;
  readonly #reservations;
  readonly #ipam;

  constructor(tools: Tools, client: KubeClient) {
    this.#tools = tools;
    this.#client = client;
    this.#nodes = this.#inform(resources.nodes, viewNode);
    this.#pods = this.#inform(resources.pods, viewPod);
    this.#blocks = this.#inform(resources.ipamBlocks, parseSoundBlock);
    this.#affinities = this.#inform(resources.blockAffinities, parseBlockAffinity);
    this.#pools = this.#inform(resources.ipPools, parseIPPool);
    this.#reservations = this.#inform(resources.ipReservations, parseIPReservation);
    this.#ipam = this.#inform(resources.ipamConfigurations, parseIPAMConfiguration);
  }

  #inform<T>(resource: ResourceDef, parse: (object: KubeObject) => ParseResult<T>) {
    const { timers, random, log, changed } = this.#tools;
    const client = this.#client;
    const informer = new Informer<T>({ client, resource, parse, timers, random, log, onChange: () => changed() });
    return { kind: resource.kind, informer };
  }

  get #all() {
    return [this.#nodes, this.#pods, this.#blocks, this.#affinities, this.#pools, this.#reservations, this.#ipam];
  }

  start(): void {
    for (const { informer } of this.#all) informer.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map(({ informer }) => informer.stop()));
  }

  get inSync(): boolean {
    return this.#all.every(({ informer }) => informer.inSync);
  }

  snapshot(): Snapshot | undefined {
    if (!this.inSync || this.#all.some(({ informer }) => informer.fault !== undefined)) return undefined;
    const bad = this.#blocks.informer.invalid;
    const badAffinities = this.#affinities.informer.invalid;
    return {
      // the last valid value of a bad object is not what is there now
      blocks: without<Block>(this.#blocks.informer.items, bad),
      badBlocks: new Set(bad.keys()),
      affinities: without<BlockAffinity>(this.#affinities.informer.items, badAffinities),
      node: (name) => seenIn(this.#nodes.informer, name),
      pod: (key) => seenIn(this.#pods.informer, key),
    };
  }

  pools(): PoolSnapshot | undefined {
    if (!this.inSync) return undefined;
    this.#tellInvalid();
    const { items, invalid } = this.#blocks.informer;
    return {
      pools: [...this.#pools.informer.items.values()],
      invalidPools: new Map([...this.#pools.informer.invalid].map(([name, { reason }]) => [name, reason])),
      blocks: [...items.values()],
      unreadableBlocks: [...invalid.keys()],
      reserved: [...this.#reservations.informer.items.values()].flatMap(({ cidrs }) => cidrs),
    };
  }

  cooldownSeconds(): number {
    return (this.#ipam.informer.items.get('default') ?? DEFAULT_IPAM_CONFIGURATION).cooldownSec;
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
    const late = this.kinds().find(({ inSync }) => !inSync);
    return late === undefined ? undefined : `${late.kind} has not been listed: ${late.fault ?? 'no answer yet'}`;
  }

  note(): string | undefined {
    const kinds = this.kinds();
    const away = kinds.flatMap(({ kind, fault }) => (fault === undefined ? [] : [`${kind}: ${fault}`])).slice(0, 1);
    const bad = kinds.flatMap(({ kind, invalid }) => invalid.map(({ name, reason }) => `${kind} ${name}: ${reason}`));
    return [...away, ...bad.slice(0, 10)].join('; ') || undefined;
  }

  #tellInvalid(): void {
    for (const { kind, invalid } of this.kinds()) {
      for (const { name, reason } of invalid) {
        const key = `${kind} ${name}`;
        if (this.#told.get(key) === reason) continue;
        this.#told.set(key, reason);
        this.#tools.log.warn('object cannot be understood and is left alone', { kind, object: name, reason });
      }
    }
  }
}

function without<T>(items: ReadonlyMap<string, T>, bad: ReadonlyMap<string, unknown>): ReadonlyMap<string, T> {
  return bad.size === 0 ? items : new Map([...items].filter(([name]) => !bad.has(name)));
}

function seenIn<T>(informer: Informer<T>, key: string): Seen<T> {
  return informer.invalid.has(key) ? 'unreadable' : informer.items.get(key);
}

/** A block whose parts contradict each other counts as one that cannot be read. */
function parseSoundBlock(object: KubeObject): ParseResult<Block> {
  const parsed = parseIPAMBlock(object);
  const [fault] = parsed.ok ? blockFaults(parsed.value) : [];
  return fault === undefined ? parsed : { ok: false, reason: fault };
}

function viewPod(object: KubeObject): ParseResult<PodView> {
  const parsed = parsePod(object);
  if (!parsed.ok) return parsed;
  const { node, phase, ips } = parsed.value;
  return { ok: true, value: { node, ips, finished: phase === 'Succeeded' || phase === 'Failed' } };
}

/** A Node without a Ready condition has no kubelet that could be late: it is taken at its word. */
function viewNode(object: KubeObject): ParseResult<NodeView> {
  const conditions = isRecord(object.status) ? object.status['conditions'] : undefined;
  const list = Array.isArray(conditions) ? conditions.filter(isRecord) : [];
  const ready = list.find((condition) => condition['type'] === 'Ready');
  return { ok: true, value: { reporting: ready === undefined || ready['status'] === 'True' } };
}

/** Pods and Nodes from the API server itself. */
export function createFreshReader(client: KubeClient): FreshReader {
  return {
    async pod(key, signal) {
      const [namespace = '', name = ''] = key.split('/');
      const object = await client.find(resources.pods, name, { namespace, signal });
      return object === undefined ? undefined : seenAs(viewPod(object));
    },
    async node(name, signal) {
      const object = await client.find(resources.nodes, name, { signal });
      return object === undefined ? undefined : seenAs(viewNode(object));
    },
  };
}

const seenAs = <T>(result: ParseResult<T>): Seen<T> => (result.ok ? result.value : 'unreadable');

/** The blocks as the API server has them now. */
export async function readBlocks(client: KubeClient, signal: AbortSignal): Promise<BlocksView> {
  const blocks: Block[] = [];
  const unreadableBlocks: string[] = [];
  for (const item of (await client.list(resources.ipamBlocks, { signal })).items) {
    const object = asKubeObject(item, 'list of ipamblocks');
    const parsed = parseSoundBlock(object);
    if (parsed.ok) blocks.push(parsed.value);
    else unreadableBlocks.push(object.metadata.name);
  }
  return { blocks, unreadableBlocks };
}
