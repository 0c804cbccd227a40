// A cluster in memory for tests of the controller's collector: pods, Nodes, agents' allocators on a memory store, virtual
// time. The collector sees a cache, which a test may let lag behind; its fresh reads see what is.
import { type Allocator, type IpamStore, type Pool } from '#ipam';
import type { Ip } from '#net';
import { createVirtualTimers, type VirtualTimers } from '#reconcile';
import { Collector } from '../../src/controller/collector.ts';
import type { NodeView, PodView, Snapshot } from '../../src/controller/snapshot.ts';
import { allocatorOf, NEVER } from './ipam-node.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';

const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => silent };
const epoch = Date.parse('2026-01-01T00:00:00Z');

export interface World {
  readonly store: MemoryStore;
  readonly pods: Map<string, PodView>;
  readonly nodes: Map<string, NodeView>;
  readonly timers: VirtualTimers;
  readonly graceMs: number;
  cooldownSeconds: number;
  /** The agent's allocator of a node; made when first asked for. */
  agent(node: string): Promise<Allocator>;
  /** What the API would list now. */
  snapshot(): Snapshot;
  /** A collector; `cache` is what it sees, `store` how it reaches the store (with faults of its own). */
  collector(options?: { cache?: () => Snapshot | undefined; store?: IpamStore; batch?: number }): Collector;
}

export function createWorld(options: { readonly pools: readonly Pool[]; readonly graceMs?: number }): World {
  const { pools, graceMs = 60_000 } = options;
  const store = createMemoryStore();
  const podViews = new Map<string, PodView>();
  const nodes = new Map<string, NodeView>();
  const timers = createVirtualTimers();
  const agents = new Map<string, Promise<Allocator>>();
  const now = (): number => epoch + timers.now();
  const world: World = {
    store,
    pods: podViews,
    nodes,
    timers,
    graceMs,
    cooldownSeconds: 0,
    async agent(node) {
      const known = agents.get(node);
      if (known !== undefined) return await known;
      const settings = (): { cooldownSeconds: number } => ({ cooldownSeconds: world.cooldownSeconds });
      const allocator = allocatorOf({ node, store, pools, now, settings });
      const ready = allocator.recover(NEVER).then(() => allocator);
      agents.set(node, ready);
      return await ready;
    },
    snapshot() {
      const { blocks, affinities } = store.snapshot();
      const [seenPods, seenNodes] = [new Map(podViews), new Map(nodes)];
      const [node, pod] = [(name: string) => seenNodes.get(name), (key: string) => seenPods.get(key)];
      return { blocks, badBlocks: new Set<string>(), affinities, node, pod };
    },
    collector({ cache, store: reached = store, batch = 100 } = {}) {
      return new Collector({
        store: reached,
        fresh: {
          pod: (key) => Promise.resolve(podViews.get(key)),
          node: (name) => Promise.resolve(nodes.get(name)),
        },
        snapshot: cache ?? (() => world.snapshot()),
        cooldownSeconds: () => world.cooldownSeconds,
        graceMs,
        batch,
        timers,
        now,
        log: silent,
      });
    },
  };
  return world;
}

export const noGuard = ignore;

/** Runs rounds over more than a grace period, as the loop would. */
export async function collectAll(world: World, collector: Collector): Promise<void> {
  for (let step = 0; step <= 12; step += 1) {
    await collector.run(noGuard, NEVER);
    world.timers.advance(world.graceMs / 10);
  }
}

/** What a runtime and an agent do for a sandbox: gives its addresses. */
export async function addSandbox(
  world: World,
  at: { pod: string; node: string; container: string },
): Promise<readonly Ip[]> {
  const [namespace = '', pod = ''] = at.pod.split('/');
  const agent = await world.agent(at.node);
  const { addresses } = await agent.assign({
    handle: `${at.container}.eth0`,
    families: [4],
    attributes: { namespace, pod },
    signal: NEVER,
  });
  return addresses.map(({ ip }) => ip);
}
