// IPAM on the embedded API server, which runs as its own process and is killed in the middle: nodes take blocks and
// addresses at once, kubelet-like callers insist, and what the API says in the end is exactly what the nodes were told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Allocator, createAllocator, isIpamError, type Pool } from '#ipam';
import { createIpamStore, createKubeClient, type KubeClient } from '#kube';
import { type Ip, overlaps } from '#net';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from '../kubernetes/server-process.ts';
import { pool } from '../support/ipam-node.ts';

const crds = [join(import.meta.dirname, '../../crds')];
const signal = AbortSignal.timeout(120_000);
const families = [4, 6] as const;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined };

async function connect(server: ServerProcess): Promise<KubeClient> {
  const directory = await mkdtemp(join(tmpdir(), 'mxt-ipam-'));
  const kubeconfig = join(directory, 'kubeconfig');
  const cluster = { name: 'lab', cluster: { server: server.url } };
  const context = { name: 'lab', context: { cluster: 'lab' } };
  await writeFile(kubeconfig, JSON.stringify({ 'current-context': 'lab', contexts: [context], clusters: [cluster] }));
  const client = await createKubeClient({ kubeconfig });
  await rm(directory, { recursive: true });
  return client;
}

async function insist<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isIpamError(error) || !error.retryable) throw error;
      await sleep(50);
    }
  }
}

let server: ServerProcess;
let client: KubeClient;

async function startNode(node: string, pools: readonly Pool[]): Promise<Allocator> {
  const allocator = createAllocator({
    node,
    store: createIpamStore(client),
    pools: () => pools,
    now: Date.now,
    random: Math.random,
    sleep: async (delayMs, abort) => await sleep(delayMs, undefined, { signal: abort }),
    log: quiet,
  });
  await insist(() => allocator.recover(signal));
  return allocator;
}

async function assignTo(allocator: Allocator, handle: string): Promise<readonly Ip[]> {
  const assigned = await insist(() => allocator.assign({ handle, families, attributes: { pod: handle }, signal }));
  return assigned.addresses.map(({ ip }) => ip);
}

/** Handle → addresses, as a newcomer reads them from the API. */
async function heldByApi(
  nodes: readonly string[],
  pools: readonly Pool[],
): Promise<ReadonlyMap<string, readonly Ip[]>> {
  const held = new Map<string, Ip[]>();
  for (const node of nodes) {
    for (const { handle, ip } of (await startNode(node, pools)).allocations()) {
      held.set(handle, [...(held.get(handle) ?? []), ip].toSorted());
    }
  }
  return held;
}

before(async () => {
  server = await startServer({ dataDir: await makeDataDir(), crds });
  client = await connect(server);
});

after(async () => {
  client.close();
  await server.stop();
  await removeDataDir(server.dataDir);
});

suite('addresses in the API server', () => {
  test('eight nodes take blocks and 160 dual-stack addresses while the server is killed: none twice, none lost', async (t) => {
    const pools = [pool('web', '10.64.0.0/24', 28), pool('web6', 'fd00:64::/64', 124)];
    const nodes = Array.from({ length: 8 }, (_, index) => `node-${index}`);
    const told = new Map<string, readonly Ip[]>();
    const allocators = await Promise.all(nodes.map((node) => startNode(node, pools)));
    const requests = allocators.flatMap((allocator, index) =>
      Array.from({ length: 20 }, async (_, pod) => {
        await sleep(pod * 15);
        const handle = `net.${nodes[index]}-${pod}`;
        told.set(handle, (await assignTo(allocator, handle)).toSorted());
      }),
    );
    while (told.size < 20) await sleep(1);
    server.child.kill('SIGKILL');
    await once(server.child, 'close');
    const toldBefore = told.size;
    server = await startServer({ dataDir: server.dataDir, crds, port: server.port });
    await Promise.all(requests);
    assert.ok(toldBefore < 160, 'the server was killed too late');
    t.diagnostic(`${toldBefore} of 160 requests were answered before the server was killed`);

    assert.equal(new Set([...told.values()].flat()).size, 320, 'every address went to one handle');
    assert.deepEqual(await heldByApi(nodes, pools), told);
    const blocks = allocators.flatMap((allocator) => allocator.blocks()).filter(({ affine }) => affine);
    for (const [index, { cidr }] of blocks.entries()) {
      assert.ok(
        blocks.slice(index + 1).every((other) => !overlaps(cidr, other.cidr)),
        `${cidr} has two owners`,
      );
    }
  });

  test('110 dual-stack requests at once on a warm node share their durable writes', async (t) => {
    const pools = [pool('burst', '10.80.0.0/24', 25), pool('burst6', 'fd00:80::/64', 121)];
    const allocator = await startNode('burst', pools);
    await insist(() => allocator.ensureBlocks(families, signal));
    const startMs = performance.now();
    const ips = await Promise.all(Array.from({ length: 110 }, (_, index) => assignTo(allocator, `net.burst-${index}`)));
    t.diagnostic(`110 requests answered in ${Math.round(performance.now() - startMs)} ms`);
    assert.equal(new Set(ips.flat()).size, 220);
    const oneMs: number[] = [];
    for (let index = 110; index < 125; index += 1) {
      const beganMs = performance.now();
      await assignTo(allocator, `net.burst-${index}`);
      oneMs.push(performance.now() - beganMs);
    }
    t.diagnostic(`one at a time: ${oneMs.map((ms) => ms.toFixed(1)).join(' ')} ms`);
  });
});
