/**
 * Controllers as processes on the embedded API server: a lost DEL, a Node that goes while others borrow from it, pools that are
 * made, filled, overlapped and deleted, an API server that is killed, and two controllers of which one leads.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Allocator } from '#ipam';
import { createIpamStore, createKubeClient, isRecord, type KubeClient, type KubeObject, resources } from '#kube';
import { systemTimers } from '#observe';
import { createElection, type Election, NotLeadingError } from '../../src/controller/election.ts';
import { poolFinalizer } from '../../src/controller/pool-keeper.ts';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from '../kubernetes/server-process.ts';
import { allocatorOf, NEVER, pool } from '../support/ipam-node.ts';

const crds = [join(import.meta.dirname, '../../crds')];
const program = fileURLToPath(new URL('../../src/controller/main.ts', import.meta.url));
const signal = AbortSignal.timeout(170_000);
const graceMs = 2_000;

let server: ServerProcess;
let kubeconfig = '';
let client: KubeClient;
const running = new Set<ChildProcess>();

interface ControllerProcess {
  readonly child: ChildProcess;
  readonly url: string;
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  listener.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function startController(): Promise<ControllerProcess> {
  const address = `127.0.0.1:${await freePort()}`;
  const env = {
    ...process.env,
    MANX_KUBECONFIG: kubeconfig,
    MANX_METRICS_ADDRESS: address,
    MANX_LEAK_GRACE_PERIOD: `${graceMs}ms`,
  };
  const child = spawn(process.execPath, [program], { env, stdio: 'ignore' });
  running.add(child);
  child.once('close', () => running.delete(child));
  return { child, url: `http://${address}` };
}

async function stopController({ child }: ControllerProcess, how: NodeJS.Signals): Promise<number | null> {
  child.kill(how);
  await once(child, 'close');
  return child.exitCode;
}

async function eventually<T>(what: string, probe: () => Promise<T | undefined | false>, withinMs = 20_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await probe().catch(() => undefined);
    if (value !== undefined && value !== false) return value;
    assert.ok(performance.now() < deadline, `${what}: not within ${withinMs} ms`);
    await delay(50);
  }
}

async function leads({ url }: ControllerProcess): Promise<boolean> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return /^manx_controller_leader 1$/m.test(text);
}

before(async () => {
  server = await startServer({ dataDir: await makeDataDir(), crds });
  kubeconfig = join(server.dataDir, 'kubeconfig');
  const cluster = { name: 'lab', cluster: { server: server.url } };
  const context = { name: 'lab', context: { cluster: 'lab' } };
  await writeFile(kubeconfig, JSON.stringify({ 'current-context': 'lab', contexts: [context], clusters: [cluster] }));
  client = await createKubeClient({ kubeconfig });
  for (const name of ['n1', 'n2'])
    await client.create(resources.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name } }, { signal });
});

after(async () => {
  for (const child of running) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  client.close();
  await server.stop();
  await removeDataDir(server.dataDir);
});

const poolsOfAgents = [pool('p', '10.64.0.0/29', 30)];

async function agent(node: string): Promise<Allocator> {
  const allocator = allocatorOf({ node, store: createIpamStore(client), pools: poolsOfAgents, now: Date.now });
  await allocator.recover(NEVER);
  return allocator;
}

async function makePool(name: string, cidr: string): Promise<void> {
  const spec = { cidr, blockSize: 30 };
  await client.create(
    resources.ipPools,
    { apiVersion: 'manx.network/v1', kind: 'IPPool', metadata: { name }, spec },
    { signal },
  );
}

/** A pod with its sandbox, reported as its kubelet would. */
async function runPod(allocator: Allocator, at: { name: string; node: string; container: string }): Promise<string> {
  const { name, node, container } = at;
  const namespace = 'default';
  const spec = { nodeName: node, containers: [{ name: 'main', image: 'x' }] };
  await client.create(
    resources.pods,
    { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec },
    { signal },
  );
  const handle = `${container.padEnd(16, '0')}.eth0`;
  const { addresses } = await allocator.assign({ handle, families: [4], attributes: { namespace, pod: name }, signal });
  await report(name, String(addresses[0]?.ip));
  return handle;
}

async function report(name: string, ip: string): Promise<void> {
  const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }] };
  await client.patchMerge(resources.pods, name, { status }, { signal, namespace: 'default', subresource: 'status' });
}

/** A delete without any grace, and without a DEL. */
async function losePod(name: string): Promise<void> {
  const path = `/api/v1/namespaces/default/pods/${name}`;
  await client.request({ method: 'DELETE', path, query: { gracePeriodSeconds: '0' }, signal });
}

async function held(): Promise<readonly string[]> {
  const blocks = await createIpamStore(client).blocks.list({ signal });
  return blocks.flatMap(({ value }) => value.attributes.flatMap(({ handle }) => handle ?? [])).toSorted();
}

function condition(object: KubeObject | undefined): string {
  const status = isRecord(object?.status) ? object.status : {};
  const conditions = Array.isArray(status['conditions']) ? status['conditions'].filter(isRecord) : [];
  const found = conditions.find(({ type }) => type === 'Allocatable');
  return `${String(found?.['status'])} ${String(found?.['reason'])} ${String(status['addressesInUse'])}`;
}

async function poolSays(name: string, text: string): Promise<KubeObject> {
  return await eventually(`pool ${name} to say ${text}`, async () => {
    const object = await client.find(resources.ipPools, name, { signal });
    return condition(object) === text ? object : undefined;
  });
}

suite('one controller', { concurrency: false }, () => {
  let controller: ControllerProcess;
  let first: Allocator;
  let second: Allocator;
  const handles: Record<string, string> = {};

  before(async () => {
    controller = await startController();
    await makePool('p', '10.64.0.0/29');
    [first, second] = [await agent('n1'), await agent('n2')];
    handles['a'] = await runPod(first, { name: 'a', node: 'n1', container: 'a' });
    for (const name of ['b', 'c', 'd', 'e', 'f'])
      handles[name] = await runPod(second, { name, node: 'n2', container: name });
  });

  test('a pool says what is assigned from it, and is held while it is in use', async () => {
    const object = await poolSays('p', 'True OK 6');
    assert.deepEqual(object.metadata['finalizers'], [poolFinalizer]);
  });

  test('a full pool is Exhausted, and no more once an address is free', async () => {
    handles['g'] = await runPod(first, { name: 'g', node: 'n1', container: '9' });
    handles['h'] = await runPod(first, { name: 'h', node: 'n1', container: '8' });
    await poolSays('p', 'False Exhausted 8');
    await losePod('h');
    await first.release(handles['h'] ?? '', signal);
    await poolSays('p', 'True OK 7');
  });

  test('of pools that overlap the younger one says so', async () => {
    await makePool('young', '10.64.0.0/28');
    await poolSays('young', 'False CIDROverlap 7');
    await client.delete(resources.ipPools, 'young', { signal });
    await poolSays('young', 'False Terminating 7');
    assert.equal(condition(await client.find(resources.ipPools, 'p', { signal })), 'True OK 7');
  });

  test('a lost DEL: the address of a pod that is gone is freed after the grace period, not before', async () => {
    const begin = performance.now();
    await losePod('g');
    await eventually('the address to be freed', async () => !(await held()).includes(handles['g'] ?? ''));
    assert.ok(performance.now() - begin >= graceMs, 'freed too soon');
    assert.equal((await held()).length, 6);
  });

  test('the address of an earlier sandbox is freed though its pod lives', async () => {
    await first.release(handles['a'] ?? '', signal);
    const before = await first.assign({
      handle: 'dead000000000000.eth0',
      families: [4],
      attributes: { namespace: 'default', pod: 'a' },
      signal,
    });
    const now = await first.assign({
      handle: 'beef000000000000.eth0',
      families: [4],
      attributes: { namespace: 'default', pod: 'a' },
      signal,
    });
    assert.notEqual(before.addresses[0]?.ip, now.addresses[0]?.ip);
    await report('a', String(now.addresses[0]?.ip));
    await eventually('the old address to be freed', async () => !(await held()).includes('dead000000000000.eth0'));
    assert.ok((await held()).includes('beef000000000000.eth0'));
  });

  test('the API server killed and restarted: collection goes on', async () => {
    const { port, dataDir } = server;
    server.child.kill('SIGKILL');
    await once(server.child, 'close');
    await delay(500);
    server = await startServer({ dataDir, crds, port });
    await losePod('b');
    await eventually('the address to be freed', async () => !(await held()).includes(handles['b'] ?? ''), 30_000);
    assert.equal((await held()).length, 5);
  });

  test('a Node goes: what it lent stays, what nobody holds any more goes, then its blocks', async () => {
    const store = createIpamStore(client);
    const own = async (): Promise<number> =>
      (await store.blocks.list({ signal })).filter(({ value }) => value.affinity === 'n1').length;
    await client.delete(resources.nodes, 'n1', { signal });
    await losePod('a');
    await eventually(
      'the address of its pod to be freed',
      async () => !(await held()).includes('beef000000000000.eth0'),
    );
    await delay(graceMs);
    assert.deepEqual(await held(), ['c', 'd', 'e', 'f'].map((name) => handles[name] ?? '').toSorted());
    assert.equal(await own(), 1, 'its block went with a borrowed address');
    const lent = (await store.blocks.list({ signal })).find(({ value }) => value.affinity === 'n1')?.value;
    for (const { attributes } of lent?.attributes ?? []) await losePod(attributes['pod'] ?? '');
    await eventually('its blocks to go', async () => (await own()) === 0);
    await eventually('its affinities to go', async () =>
      (await store.affinities.list({ signal })).every(({ value }) => value.node === 'n2'),
    );
  });

  test('a deleted pool stays, names who holds it, and goes when nobody does', async () => {
    await client.delete(resources.ipPools, 'p', { signal });
    const count = (await held()).length;
    const object = await poolSays('p', `False Terminating ${count}`);
    assert.match(JSON.stringify(object.status), new RegExp(`${count} addresses are still in use on n2 \\(${count}\\)`));
    for (const { metadata } of (await client.list(resources.pods, { signal })).items as readonly KubeObject[])
      await losePod(metadata.name);
    await eventually(
      'the pool to go',
      async () => (await client.find(resources.ipPools, 'p', { signal })) === undefined,
    );
    await eventually(
      'the other to go',
      async () => (await client.find(resources.ipPools, 'young', { signal })) === undefined,
    );
    assert.deepEqual(await held(), []);
  });

  test('a controller that is asked to stop gives its lease up and ends with 0', async () => {
    assert.equal(await stopController(controller, 'SIGTERM'), 0);
    const lease = await client.get(resources.leases, 'manx-controller', { namespace: 'kube-system', signal });
    assert.equal(isRecord(lease.spec) && lease.spec['holderIdentity'], '');
  });
});

suite('two controllers', { concurrency: false }, () => {
  test('one leads; the leader killed, the other takes over within its lease, and only then', async () => {
    const pair = [await startController(), await startController()];
    const leader = await eventually(
      'a leader',
      async () => ((await leads(pair[0] as ControllerProcess)) ? 0 : (await leads(pair[1] as ControllerProcess)) && 1),
      30_000,
    );
    const [old, next] = [pair[leader], pair[1 - leader]];
    assert.ok(old !== undefined && next !== undefined);
    assert.equal(await eventually('the other to answer', async () => String(await leads(next))), 'false');
    const begin = performance.now();
    await stopController(old, 'SIGKILL');
    await eventually('the other to lead', () => leads(next), 25_000);
    const tookMs = performance.now() - begin;
    assert.ok(tookMs > 12_000 && tookMs < 24_000, `took ${tookMs} ms`);
    assert.equal(await stopController(next, 'SIGTERM'), 0);
  });

  test('candidates that come and go: never two lead, and there is a leader again after each end', async () => {
    const timing = { leaseMs: 1_000, renewMs: 600, retryMs: 100 };
    const ignore = (): void => undefined;
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => log };
    const stand = (identity: string): Election => {
      const lease = { namespace: 'kube-system', name: 'test' };
      const made = createElection({
        client,
        lease,
        identity,
        timing,
        timers: systemTimers,
        random: Math.random,
        now: Date.now,
        onChange: () => check(),
        log,
      });
      made.start();
      return made;
    };
    const standing = new Map<string, Election>();
    const leading = (): readonly string[] => [...standing].filter(([, each]) => each.leads()).map(([name]) => name);
    const check = (): void => assert.ok(leading().length <= 1, `${leading().join(' and ')} lead`);
    for (const name of ['a', 'b', 'c']) standing.set(name, stand(name));
    for (let time = 0; time < 4; time += 1) {
      const [name] = await eventually('a leader', async () => (leading().length === 1 ? leading() : undefined));
      const old = standing.get(name ?? '');
      const term = old?.term();
      // giving up is a courtesy: when it fails, the next leader waits for the lease to run out
      await old?.stop().catch(ignore);
      assert.equal(old?.leads(), false);
      assert.notEqual(term?.aborted, false);
      check();
      standing.delete(name ?? '');
      standing.set(`${name}+`, stand(`${name}+`));
    }
    for (const each of standing.values()) await each.stop().catch(ignore);
  });

  test('a leader that was stopped for longer than its term knows at once, before any timer has told it', async () => {
    let asleepMs = 0;
    const timers = { ...systemTimers, now: () => systemTimers.now() + asleepMs };
    const ignore = (): void => undefined;
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => log };
    const election = createElection({
      client,
      lease: { namespace: 'kube-system', name: 'sleeper' },
      identity: 'sleeper',
      timing: { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 },
      timers,
      random: Math.random,
      now: Date.now,
      onChange: ignore,
      log,
    });
    election.start();
    await eventually('a leader', async () => election.leads());
    assert.doesNotThrow(election.guard);
    asleepMs = 10_000;
    assert.equal(election.leads(), false);
    assert.equal(election.term(), undefined);
    assert.throws(election.guard, NotLeadingError);
    await election.stop();
  });
});
