// `manxctl ipam …` as people run it, against the embedded API server: a cluster with one fault of each kind that a machine
// may repair is shown, checked, repaired and sound; what may be in use is left alone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { text } from 'node:stream/consumers';
import { type Allocator, createAllocator } from '#ipam';
import { createIpamStore, createKubeClient, type KubeClient, type KubeObject, resources } from '#kube';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from '../kubernetes/server-process.ts';
import { pool } from '../support/ipam-node.ts';

const program = join(import.meta.dirname, '../../src/cli/main.ts');
const signal = AbortSignal.timeout(90_000);

let server: ServerProcess;
let client: KubeClient;
let allocator: Allocator;
let folder: string;
const addresses = new Map<string, string>();

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function manxctl(...args: readonly string[]): Promise<Run> {
  const env = { ...process.env, KUBECONFIG: join(folder, 'kubeconfig') };
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: Number(code), out, err };
}

async function create(resource: (typeof resources)[keyof typeof resources], object: KubeObject): Promise<void> {
  const namespace = object.metadata.namespace;
  await client.create(resource, object, namespace === undefined ? { signal } : { signal, namespace });
}

async function createPod(name: string): Promise<void> {
  await create(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'a', containers: [{ name: 'main', image: 'x' }] },
  });
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mxt-ctl-'));
  server = await startServer({ dataDir: await makeDataDir(), crds: [join(import.meta.dirname, '../../crds')] });
  const cluster = { name: 'lab', cluster: { server: server.url } };
  const context = { name: 'lab', context: { cluster: 'lab' } };
  const config = JSON.stringify({ 'current-context': 'lab', contexts: [context], clusters: [cluster] });
  await writeFile(join(folder, 'kubeconfig'), config);
  client = await createKubeClient({ kubeconfig: join(folder, 'kubeconfig') });
  const apiVersion = 'manx.network/v1';
  const spec = { cidr: '10.64.0.0/24', blockSize: 28 };
  await create(resources.ipPools, { apiVersion, kind: 'IPPool', metadata: { name: 'web' }, spec });
  const reservation = { reservedCIDRs: ['10.64.0.14/31', '10.64.0.254/31'] };
  await create(resources.ipReservations, {
    apiVersion,
    kind: 'IPReservation',
    metadata: { name: 'r' },
    spec: reservation,
  });
  await create(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } });
  allocator = createAllocator({
    node: 'a',
    store: createIpamStore(client),
    pools: () => [pool('web', '10.64.0.0/24', 28)],
    // An hour ago, so that what leaked is past every grace period.
    now: () => Date.now() - 3_600_000,
    random: Math.random,
    sleep: async () => undefined,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
  });
  await allocator.recover(signal);
  for (const name of ['web-0', 'gone']) {
    const attributes = { namespace: 'default', pod: name };
    const assigned = await allocator.assign({ handle: `net.${name}`, families: [4], attributes, signal });
    addresses.set(name, assigned.addresses[0]?.ip ?? '');
  }
  await createPod('web-0');
});

after(async () => {
  client.close();
  await server.stop();
  await removeDataDir(server.dataDir);
  await rm(folder, { recursive: true });
});

suite('manxctl ipam', () => {
  test('show: pools with their use, as a table and as JSON', async () => {
    const { code, out } = await manxctl('ipam', 'show');
    assert.equal(code, 0);
    assert.match(
      out,
      /^POOL +CIDR +BLOCKS +TOTAL +IN-USE +COOLING +RESERVED +FREE\nweb +10\.64\.0\.0\/24 +1 +256 +2 +0 +4 +250\n$/,
    );
    const json: unknown = JSON.parse((await manxctl('ipam', 'show', '-o', 'json')).out);
    assert.partialDeepStrictEqual(json, [
      { pool: 'web', blocks: 1, total: '256', inUse: 2, cooling: 0, reserved: '4', free: '250' },
    ]);
  });

  test('show --blocks, --node and --ip say who has what', async () => {
    assert.match((await manxctl('ipam', 'show', '--blocks')).out, /\n10\.64\.0\.\d+\/28 +web +a +16 +2 /);
    const held = (await manxctl('ipam', 'show', '--node', 'a')).out;
    assert.match(held, new RegExp(`${addresses.get('web-0')} +default/web-0 +net\\.web-0 `));
    const one = await manxctl('ipam', 'show', '--ip', addresses.get('web-0') ?? '');
    assert.equal(one.code, 0);
    assert.match(one.out, /is held by default\/web-0 on node a, handle net\.web-0: in pool web/);
    const free = await manxctl('ipam', 'show', '--ip', '10.64.0.254');
    assert.equal(free.code, 3);
    assert.match(free.out, /10\.64\.0\.254 is free: in pool web \(10\.64\.0\.0\/24\).*, reserved/);
  });

  test('release leaves alone what may be in use', async () => {
    const used = await manxctl('ipam', 'release', '--ip', addresses.get('web-0') ?? '');
    assert.equal(used.code, 3);
    assert.match(used.out, /not released: .*it may be in use \(--force/);
    assert.equal(allocator.allocations().length, 2);
  });

  test('check names each fault and exits 3; --repair leaves a sound cluster', async () => {
    const affinity = { node: 'b', cidr: '10.64.0.240/28', state: 'confirmed', deleted: false };
    await create(resources.blockAffinities, {
      apiVersion: 'manx.network/v1',
      kind: 'BlockAffinity',
      metadata: { name: 'b-10-64-0-240-28' },
      spec: affinity,
    });
    const found = await manxctl('ipam', 'check');
    assert.equal(found.code, 3, found.err);
    assert.match(
      found.out,
      new RegExp(`leaked +${addresses.get('gone')} +repairable +pod default/gone does not exist`),
    );
    assert.match(found.out, /affinity without block +b-10-64-0-240-28 +repairable +node b claims block/);
    const repaired = await manxctl('ipam', 'check', '--repair');
    assert.equal(repaired.code, 0, repaired.err);
    assert.match(repaired.out, /leaked.*repaired/);
    const sound = await manxctl('ipam', 'check');
    assert.equal(sound.code, 0);
    assert.equal(sound.out, '1 blocks, 1 pods: nothing is wrong\n');
    await allocator.recover(signal);
    assert.deepEqual(
      allocator.allocations().map(({ handle }) => handle),
      ['net.web-0'],
    );
  });

  test('release --force frees an address that a pod seems to use', async () => {
    const { code, out } = await manxctl('ipam', 'release', '--force', '--ip', addresses.get('web-0') ?? '');
    assert.equal(code, 0);
    assert.match(out, /^released: was .* is held by default\/web-0/);
  });

  test('configure shows and changes the IPAMConfiguration; what the API refuses is one sentence', async () => {
    assert.match((await manxctl('ipam', 'configure')).out, /\nfalse +true +any +0\n$/);
    const changed = await manxctl('ipam', 'configure', '--strict-affinity', 'true', '--ip-cooldown-seconds', '30');
    assert.match(changed.out, /\ntrue +true +any +30\n$/);
    const refused = await manxctl('ipam', 'configure', '--strict-affinity', 'false', '--auto-allocate-blocks', 'false');
    assert.equal(refused.code, 1);
    assert.match(refused.err, /^manxctl: .*autoAllocateBlocks false needs strictAffinity true.*\n$/);
  });

  test('an API server that is away is exit code 4, wrong usage 1', async () => {
    await writeFile(
      join(folder, 'away'),
      JSON.stringify({
        'current-context': 'x',
        contexts: [{ name: 'x', context: { cluster: 'x' } }],
        clusters: [{ name: 'x', cluster: { server: 'http://127.0.0.1:9' } }],
      }),
    );
    assert.equal((await manxctl('ipam', 'show', '--kubeconfig', join(folder, 'away'))).code, 4);
    assert.equal((await manxctl('ipam', 'show', '--ip', 'web')).code, 1);
  });
});

suite('manxctl selector eval', () => {
  for (const [expression, labels, code, out] of [
    ["rack == '1' && !has(gpu)", ['rack=1'], 0, /^true/],
    ["rack in {'1','2'}", ['rack=3'], 3, /^false/],
    ['has(constructor)', [], 3, /^false/],
    ["__proto__ == 'x'", ['__proto__=x'], 0, /^true/],
  ] as const) {
    test(`${expression} on ${labels.join(' ') || 'nothing'} exits ${code}`, async () => {
      const run = await manxctl('selector', 'eval', expression, ...labels);
      assert.equal(run.code, code, run.err);
      assert.match(run.out, out);
    });
  }

  test('a fault is pointed at', async () => {
    const { code, err } = await manxctl('selector', 'eval', 'rack == 1');
    assert.equal(code, 1);
    assert.match(err, /position 8\n {2}rack == 1\n {10}\^\n$/);
  });
});
