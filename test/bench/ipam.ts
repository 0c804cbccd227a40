// IPAM against the embedded API server, whose journal is fsynced before it answers: warm requests one by one and 110 at
// once, 1,000 nodes that claim their first block at the same moment, the pure value functions, and host-local for scale.
// Latencies are of allocator.assign (dual stack, acknowledged writes); calls are counted at the store. The agent adds one GET
// of the Pod per ADD, which is measured apart.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Allocator,
  affinityName,
  type AuditedPod,
  audit,
  type Block,
  type BlockAffinity,
  blockName,
  type Collection,
  createAllocator,
  type IpamStore,
  isIpamError,
  type Pool,
} from '#ipam';
import { createIpamStore, createKubeClient, type KubeClient, resources } from '#kube';
import { nthAddress, nthSubprefix, parsePrefix } from '#net';
import { assign, newBlock, release } from '../../ipam/block.ts';
import { makeDataDir, removeDataDir, startServer } from '../kubernetes/server-process.ts';
import { pool } from '../support/ipam-node.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const warmRequests = 500;
const burst = 110;
const bursts = 9;
const nodes = Number(process.env['MANX_BENCH_NODES'] ?? 1000);
const hostLocalCalls = 100;
const signal = AbortSignal.timeout(540_000);
const families = [4, 6] as const;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined };

interface Calls {
  get: number;
  list: number;
  write: number;
  conflicts: number;
}

const noCalls = (): Calls => ({ get: 0, list: 0, write: 0, conflicts: 0 });

/** A store whose calls are counted. */
function counted(store: IpamStore, calls: Calls): IpamStore {
  const count = async <T>(kind: 'get' | 'list' | 'write', work: Promise<T>): Promise<T> => {
    calls[kind] += 1;
    try {
      return await work;
    } catch (error) {
      if (isIpamError(error, 'CONFLICT')) calls.conflicts += 1;
      throw error;
    }
  };
  const wrap = <T>(inner: Collection<T>): Collection<T> => ({
    get: (...args) => count('get', inner.get(...args)),
    list: (...args) => count('list', inner.list(...args)),
    create: (...args) => count('write', inner.create(...args)),
    update: (...args) => count('write', inner.update(...args)),
    remove: (...args) => count('write', inner.remove(...args)),
  });
  return { blocks: wrap(store.blocks), affinities: wrap(store.affinities) };
}

async function startNode(
  client: KubeClient,
  options: { readonly node: string; readonly pools: readonly Pool[]; readonly calls: Calls },
): Promise<Allocator> {
  const allocator = createAllocator({
    node: options.node,
    store: counted(createIpamStore(client), options.calls),
    pools: () => options.pools,
    now: Date.now,
    random: Math.random,
    sleep: async (delayMs, abort) => await sleep(delayMs, undefined, { signal: abort }),
    log: quiet,
  });
  await allocator.recover(signal);
  return allocator;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

const ms = (value: number): string => `${value.toFixed(2)} ms`;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

const assignTo = (allocator: Allocator, handle: string): Promise<unknown> =>
  allocator.assign({ handle, families, attributes: { namespace: 'default', pod: handle }, signal });

async function warm(client: KubeClient, pools: readonly Pool[]): Promise<number> {
  const calls = noCalls();
  const allocator = await startNode(client, { node: 'warm', pools, calls });
  await allocator.ensureBlocks(families, signal);
  for (let i = 0; i < 50; i += 1) {
    await assignTo(allocator, `heat.${i}`);
    await allocator.release(`heat.${i}`, signal);
  }
  const times: number[] = [];
  const before = calls.get + calls.list + calls.write;
  let releases = 0;
  for (let i = 0; i < warmRequests; i += 1) {
    times.push(await timed(() => assignTo(allocator, `warm.${i}`)));
    const at = calls.write;
    await allocator.release(`warm.${i}`, signal);
    releases += calls.write - at;
  }
  const perAdd = (calls.get + calls.list + calls.write - before - releases) / warmRequests;
  const median = quantile(times, 0.5);
  say(
    `warm, one by one    p50 ${ms(median)}  p99 ${ms(quantile(times, 0.99))}  ${perAdd.toFixed(2)} API calls per ADD (${(perAdd / 2).toFixed(2)} per family)`,
  );
  await burstOf(allocator, calls);
  return median;
}

async function burstOf(allocator: Allocator, calls: Calls): Promise<void> {
  const p50: number[] = [];
  const p99: number[] = [];
  const perAdd: number[] = [];
  for (let round = 0; round < bursts; round += 1) {
    const names = Array.from({ length: burst }, (_, i) => `burst.${round}.${i}`);
    const before = calls.get + calls.list + calls.write;
    const times = await Promise.all(names.map((name) => timed(() => assignTo(allocator, name))));
    perAdd.push((calls.get + calls.list + calls.write - before) / burst);
    p50.push(quantile(times, 0.5));
    p99.push(quantile(times, 0.99));
    await Promise.all(names.map((name) => allocator.release(name, signal)));
  }
  const [first = 0] = perAdd;
  const later = quantile(perAdd.slice(1), 0.5);
  say(
    `${burst} at once         p50 ${ms(quantile(p50, 0.5))}  p99 ${ms(quantile(p99, 0.5))}  ${later.toFixed(2)} API calls per ADD (${first.toFixed(2)} in the first burst, which claims blocks)`,
  );
}

async function podReads(client: KubeClient): Promise<void> {
  const metadata = { name: 'web-0', namespace: 'default' };
  const spec = { nodeName: 'a', containers: [{ name: 'main', image: 'x' }] };
  await client.create(
    resources.pods,
    { apiVersion: 'v1', kind: 'Pod', metadata, spec },
    { signal, namespace: 'default' },
  );
  const times: number[] = [];
  for (let i = 0; i < 300; i += 1) {
    times.push(await timed(() => client.find(resources.pods, 'web-0', { signal, namespace: 'default' })));
  }
  say(
    `the agent's GET Pod p50 ${ms(quantile(times, 0.5))}  p99 ${ms(quantile(times, 0.99))}  1 call per ADD beside IPAM's`,
  );
}

async function claims(client: KubeClient): Promise<void> {
  const pools = [pool('cluster', '10.128.0.0/12', 26)];
  const calls = noCalls();
  const names = Array.from({ length: nodes }, (_, i) => `node-${i}.example.internal`);
  const allocators = await Promise.all(names.map((node) => startNode(client, { node, pools, calls })));
  const before = { ...calls };
  const times: number[] = [];
  const wallMs = await timed(() =>
    Promise.all(allocators.map(async (each) => times.push(await timed(() => each.ensureBlocks([4], signal))))),
  );
  const blocks = new Set(allocators.flatMap((each) => each.blocks().map(({ cidr }) => cidr)));
  const writes = calls.write - before.write;
  const conflicts = calls.conflicts - before.conflicts;
  const lists = calls.list - before.list;
  say(
    `${nodes} nodes claim   wall ${(wallMs / 1000).toFixed(1)} s  p50 ${(quantile(times, 0.5) / 1000).toFixed(1)} s  ${blocks.size} different blocks  ${(writes / nodes).toFixed(2)} writes and ${(lists / nodes).toFixed(2)} lists per claim, ${conflicts} conflicts`,
  );
  if (blocks.size !== nodes) throw new Error(`${nodes} nodes hold ${blocks.size} different blocks`);
}

function pureOperations(): void {
  const rounds = 200_000;
  const results: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    let block = newBlock(parsePrefix('10.64.0.0/26'), 'a', 0);
    const begin = performance.now();
    for (let i = 0; i < rounds; i += 1) {
      const done =
        i % 2 === 0
          ? assign(block, { handle: `h${i % 64}`, attributes: {} }, i)
          : release(block, { handle: `h${(i - 1) % 64}` }, i);
      if (done.kind !== 'refused') block = done.block;
    }
    results.push((rounds / (performance.now() - begin)) * 1000);
  }
  say(`pure assign/release ${(quantile(results, 0.5) / 1000).toFixed(0)}k operations/s on a /26`);
}

/** 5,000 nodes with four blocks each and 30 pods: what one audit, and one restart of an agent, costs beyond the transfer. */
async function scale(): Promise<void> {
  const cluster = parsePrefix('10.0.0.0/8');
  const blocks: Block[] = [];
  const affinities: BlockAffinity[] = [];
  const pods: AuditedPod[] = [];
  const names = Array.from({ length: 5000 }, (_, i) => `node-${i}`);
  const before = process.memoryUsage().heapUsed;
  for (const [index, node] of names.entries()) {
    for (let each = 0; each < 4; each += 1) {
      const cidr = nthSubprefix(cluster, 26, index * 4 + each);
      let block = newBlock(cidr, node, 0);
      for (let i = 0; i < (each < 2 ? 8 : 7); i += 1) {
        const pod = `pod-${index}-${each}-${i}`;
        const attributes = { namespace: 'default', pod, node, timestamp: '2026-01-01T00:00:00Z' };
        const done = assign(block, { handle: `${pod}.eth0`, attributes }, 0);
        if (done.kind === 'assigned') block = done.block;
        const ips = [nthAddress(cidr, i)];
        pods.push({ namespace: 'default', name: pod, node, hostNetwork: false, finished: false, ips });
      }
      blocks.push(block);
      affinities.push({ node, cidr, state: 'confirmed', deleted: false });
    }
  }
  const heapMiB = (process.memoryUsage().heapUsed - before) / 2 ** 20;
  const pools = [{ name: 'cluster', cidr: cluster }];
  const begin = performance.now();
  const findings = audit({ pools, blocks, affinities, unreadable: [], pods, nodes: new Set(names), now: Date.now() });
  const auditMs = performance.now() - begin;
  if (findings.length > 0) throw new Error(`the audit of a sound state finds ${findings[0]?.why}`);
  const store = createMemoryStore();
  const put = { signal };
  for (const block of blocks) await store.blocks.create(blockName(block.cidr), block, put);
  for (const each of affinities) await store.affinities.create(affinityName(each.node, each.cidr), each, put);
  const allocator = createAllocator({
    node: 'node-7',
    store,
    pools: () => [pool('cluster', '10.0.0.0/8', 26)],
    now: Date.now,
    random: Math.random,
    sleep: async () => undefined,
    log: quiet,
  });
  const recoverMs = await timed(() => allocator.recover(signal));
  const held = allocator.allocations().length;
  say(
    `5,000 nodes         ${blocks.length} blocks, ${pods.length} addresses in ${heapMiB.toFixed(0)} MiB with their pods; audit ${ms(auditMs)}; recover of one node ${ms(recoverMs)} (${held} addresses; lists in memory)`,
  );
}

async function hostLocal(ours: number): Promise<void> {
  const program = ['/usr/lib/cni/host-local', '/opt/cni/bin/host-local'].find((path) => existsSync(path));
  if (program === undefined) return say('host-local          left out: containernetworking-plugins is not installed');
  const dataDir = await mkdtemp(join(tmpdir(), 'mxt-host-local-'));
  const ranges = [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/120' }]];
  const config = { cniVersion: '1.0.0', name: 'bench', type: 'bridge', ipam: { type: 'host-local', ranges, dataDir } };
  const times: number[] = [];
  for (let i = 0; i < hostLocalCalls; i += 1) {
    const env = {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: `c${i}`,
      CNI_NETNS: '/proc/self/ns/net',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/usr/lib/cni',
    };
    const begin = performance.now();
    const done = spawnSync(program, { env, input: JSON.stringify(config) });
    times.push(performance.now() - begin);
    if (done.status !== 0) throw new Error(`host-local: ${String(done.stdout)}`);
  }
  await rm(dataDir, { recursive: true });
  const median = quantile(times, 0.5);
  say(
    `host-local (Debian) p50 ${ms(median)}  p99 ${ms(quantile(times, 0.99))}  dual stack, process start included, not fsynced; ours/theirs ${(ours / median).toFixed(2)}`,
  );
}

async function connect(url: string): Promise<KubeClient> {
  const folder = await mkdtemp(join(tmpdir(), 'mxt-bench-'));
  const kubeconfig = join(folder, 'kubeconfig');
  const cluster = { name: 'lab', cluster: { server: url } };
  const context = { name: 'lab', context: { cluster: 'lab' } };
  await writeFile(kubeconfig, JSON.stringify({ 'current-context': 'lab', contexts: [context], clusters: [cluster] }));
  const client = await createKubeClient({ kubeconfig, timeoutMs: 300_000 });
  await rm(folder, { recursive: true });
  return client;
}

const dataDir = await makeDataDir();
const server = await startServer({ dataDir, crds: [join(import.meta.dirname, '../../crds')] });
const client = await connect(server.url);
try {
  say(
    `node ${process.version}, ${availableParallelism()} CPUs; embedded API server on loopback, journal fsynced in ${tmpdir()}; blocks /26 and /122; ${warmRequests} requests, ${bursts} bursts (medians of bursts)`,
  );
  const ours = await warm(client, [pool('v4', '10.64.0.0/16', 26), pool('v6', 'fd00:64::/48', 122)]);
  await podReads(client);
  pureOperations();
  await hostLocal(ours);
  await scale();
  await claims(client);
} finally {
  client.close();
  await server.stop();
  await removeDataDir(dataDir);
}
