// The CNI matrix on a real agent in a lab of one node: every order in which a runtime may call, and an agent that is slow or
// dies in between. Everything is read from outside the agent: kernel, files, API objects. After each story nothing is left.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createLabClient, type Json } from '../../src/lab/client.ts';
import { labDown, labUp, nodeDirs, type NodeDirs } from '../../src/lab/lab.ts';
import { findProcess, signalProcess, waitFor } from '../../src/lab/processes.ts';
import type { LabNode } from '../../src/lab/topology.ts';
import { needRoot } from '../support/need.ts';

const lab = `c${process.pid % 1_000_000}`;
const need = needRoot('ip', 'bird', 'nft');

interface Sandbox {
  readonly id: string;
  readonly netns: string;
}

interface Outcome {
  readonly code: number | null;
  readonly printed: Json;
  readonly tookMs: number;
}

describe('the CNI matrix on a real agent', { ...need, concurrency: false }, () => {
  let node: LabNode;
  let dirs: NodeDirs;
  let made = 0;
  const sandboxes = new Set<string>();

  before(async () => {
    const topology = await labUp({ name: lab, racks: 1, nodesPerRack: 1 }, () => undefined);
    const [first] = topology.nodes;
    assert.ok(first !== undefined);
    node = first;
    dirs = nodeDirs(lab, node.name);
  });

  after(async () => {
    for (const netns of sandboxes) removeNetns(netns);
    await labDown(lab);
  });

  afterEach(async () => {
    await waitFor(
      'the kernel, the files and IPAM to be empty',
      async () => ((await leftovers()) === '' ? true : undefined),
      5000,
    ).catch(async () => assert.equal(await leftovers(), ''));
    for (const netns of sandboxes) removeNetns(netns);
  });

  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

  function newSandbox(): Sandbox {
    made += 1;
    const netns = `mxt-${lab}-${made}`;
    ip('netns', 'add', netns);
    sandboxes.add(netns);
    return { id: `${lab}s${made}`, netns };
  }

  function removeNetns(netns: string): void {
    if (!sandboxes.delete(netns)) return;
    ip('netns', 'del', netns);
  }

  /** Executes the installed plugin as a runtime does. */
  function call(verb: string, sandbox: Sandbox, config: object = {}): Promise<Outcome> {
    const started = performance.now();
    const child = spawn(join(dirs.binDir, 'manx'), {
      env: {
        PATH: process.env['PATH'] ?? '',
        CNI_COMMAND: verb,
        CNI_CONTAINERID: sandbox.id,
        CNI_NETNS: `/run/netns/${sandbox.netns}`,
        CNI_IFNAME: 'eth0',
        CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=matrix',
      },
    });
    let text = '';
    child.stdout.on('data', (chunk) => void (text += String(chunk)));
    child.stdin.on('error', () => undefined);
    const socket = join(dirs.run, 'cni.sock');
    child.stdin.end(JSON.stringify({ cniVersion: '1.1.0', name: 'manx', type: 'manx', socket, ...config }));
    return new Promise((resolve) =>
      child.on('close', (code) => {
        const printed = text === '' ? {} : (JSON.parse(text) as Json);
        resolve({ code, printed, tookMs: performance.now() - started });
      }),
    );
  }

  async function succeed(verb: string, sandbox: Sandbox, config: object = {}): Promise<Json> {
    const { code, printed } = await call(verb, sandbox, config);
    assert.equal(code, 0, `${verb}: ${JSON.stringify(printed)}`);
    return printed;
  }

  /** The agent answers again, after it was killed. */
  async function awaitAgent(): Promise<void> {
    await waitFor(
      'the agent',
      async () => ((await call('STATUS', { id: 'x', netns: 'x' })).code === 0 ? true : undefined),
      30_000,
      100,
    );
  }

  const addressesOf = (result: Json): readonly string[] =>
    ((result['ips'] ?? []) as readonly { address: string }[]).map(({ address }) => address.replace(/\/.*/, ''));

  async function allocated(): Promise<readonly string[]> {
    const client = await createLabClient(lab);
    const blocks = await client.list('/apis/manx.network/v1/ipamblocks');
    return blocks.flatMap((block) => {
      const { cidr, allocations } = block['spec'] as { cidr: string; allocations: readonly (number | null)[] };
      return allocations.flatMap((index, ordinal) => (index === null ? [] : [`${cidr} #${ordinal}`]));
    });
  }

  /** Interfaces, routes, neighbours, records and addresses of pods, in words; nothing when there are none. */
  async function leftovers(): Promise<string> {
    const links = ip('-n', node.netns, '-o', 'link').match(/\bmx[0-9a-f]{11}\b/g) ?? [];
    const routes = [4, 6].flatMap((family) =>
      ip('-n', node.netns, `-${family}`, 'route', 'show', 'table', 'all')
        .split('\n')
        .filter((line) => /dev mx[0-9a-f]{11}/.test(line)),
    );
    const neighbours = ip('-n', node.netns, 'neigh')
      .split('\n')
      .filter((line) => /dev mx[0-9a-f]{11}/.test(line));
    const files = readdirSync(join(dirs.state, 'workloads'));
    return [...links, ...routes, ...neighbours, ...files, ...(await allocated())].join('\n');
  }

  test('STATUS is ok, ADD twice gives one result, CHECK agrees, DEL leaves nothing, twice', async () => {
    const pod = newSandbox();
    await succeed('STATUS', pod);
    const result = await succeed('ADD', pod);
    assert.equal(addressesOf(result).length, 2);
    assert.deepEqual(await succeed('ADD', pod), result);
    assert.equal((await allocated()).length, 2);
    await succeed('CHECK', pod, { prevResult: result });
    await succeed('DEL', pod, { prevResult: result });
    assert.equal(await leftovers(), '');
    await succeed('DEL', pod, { prevResult: result });
  });

  test('DEL without an ADD, with the namespace gone, and with an empty prevResult succeeds', async () => {
    await succeed('DEL', newSandbox());
    const gone = newSandbox();
    await succeed('ADD', gone);
    removeNetns(gone.netns);
    await succeed('DEL', gone, { prevResult: {} });
    const empty = newSandbox();
    await succeed('ADD', empty);
    await succeed('DEL', empty, { prevResult: { cniVersion: '1.1.0', ips: [] } });
  });

  test('CHECK names an address that was deleted in the pod', async () => {
    const pod = newSandbox();
    const result = await succeed('ADD', pod);
    const [address = ''] = addressesOf(result);
    ip('-n', pod.netns, 'addr', 'del', `${address}/32`, 'dev', 'eth0');
    const { code, printed } = await call('CHECK', pod, { prevResult: result });
    assert.equal(code, 1);
    assert.equal(printed['code'], 101);
    assert.match(String(printed['details']), new RegExp(`lacks address ${address}`));
    await succeed('DEL', pod);
  });

  test('ADD into a namespace that is not there fails and leaves nothing', async () => {
    const { code, printed } = await call('ADD', { id: `${lab}nowhere`, netns: `mxt-${lab}-nowhere` });
    assert.deepEqual([code, printed['code']], [1, 3], JSON.stringify(printed));
  });

  test('GC with 5 of 10 attachments valid removes the other 5', async () => {
    const pods = Array.from({ length: 10 }, newSandbox);
    await Promise.all(pods.map((pod) => succeed('ADD', pod)));
    const kept = pods.slice(0, 5);
    const valid = kept.map((pod) => ({ containerID: pod.id, ifname: 'eth0' }));
    await succeed('GC', { id: 'gc', netns: 'gc' }, { 'cni.dev/valid-attachments': valid });
    assert.equal((await allocated()).length, 10);
    assert.equal(readdirSync(join(dirs.state, 'workloads')).length, 5);
    for (const [index, pod] of pods.entries()) {
      assert.equal(/eth0/.test(ip('-n', pod.netns, '-o', 'link')), index < 5, `pod ${index}`);
    }
    await Promise.all(kept.map((pod) => succeed('DEL', pod)));
  });

  test('two sandboxes of one pod: DEL of the old one after ADD of the new one leaves the new one alone', async () => {
    const old = newSandbox();
    const next = newSandbox();
    await succeed('ADD', old);
    const result = await succeed('ADD', next);
    await succeed('DEL', old);
    await succeed('CHECK', next, { prevResult: result });
    await succeed('DEL', next);
  });

  test('a container id that is used again after DEL gets a whole pod', async () => {
    const pod = newSandbox();
    await succeed('ADD', pod);
    await succeed('DEL', pod);
    const again = { ...newSandbox(), id: pod.id };
    await succeed('CHECK', again, { prevResult: await succeed('ADD', again) });
    await succeed('DEL', again);
  });

  test('20 pods at once have 40 addresses, and go at once', async () => {
    const pods = Array.from({ length: 20 }, newSandbox);
    const results = await Promise.all(pods.map((pod) => succeed('ADD', pod)));
    assert.equal(new Set(results.flatMap(addressesOf)).size, 40);
    await Promise.all(pods.map((pod, index) => succeed('CHECK', pod, { prevResult: results[index] })));
    await Promise.all(pods.map((pod) => succeed('DEL', pod)));
  });

  test('ADD and DEL of one pod at the same time end with nothing', async () => {
    for (let round = 0; round < 5; round += 1) {
      const pod = newSandbox();
      await Promise.all([call('ADD', pod), delay(round * 4).then(() => call('DEL', pod))]);
      await succeed('DEL', pod);
    }
  });

  test('a frozen agent costs the deadline and code 11; what it does when it thaws is undone by DEL', async () => {
    const pod = newSandbox();
    signalProcess(lab, node.name, 'SIGSTOP');
    try {
      for (const verb of ['ADD', 'STATUS', 'DEL']) {
        const { code, printed, tookMs } = await call(verb, pod, { timeoutSec: 0.5 });
        assert.deepEqual([code, printed['code']], [1, 11], JSON.stringify(printed));
        assert.ok(tookMs > 450 && tookMs < 3000, `${verb} took ${tookMs} ms`);
      }
    } finally {
      signalProcess(lab, node.name, 'SIGCONT');
    }
    await awaitAgent();
    await succeed('DEL', pod);
  });

  test('an agent killed at any moment of an ADD: the DEL that follows leaves nothing', async (t) => {
    const delays = Array.from({ length: 8 }, () => Math.random() * 25);
    for (const delayMs of delays) {
      const pod = newSandbox();
      const before = findProcess(lab, node.name)?.pid;
      const adding = call('ADD', pod);
      await delay(delayMs);
      signalProcess(lab, node.name, 'SIGKILL');
      const { code } = await adding;
      t.diagnostic(`killed after ${delayMs.toFixed(1)} ms: ADD ended with ${code}`);
      await waitFor('a new agent', () => (findProcess(lab, node.name)?.pid === before ? undefined : true), 10_000);
      await awaitAgent();
      await succeed('DEL', pod);
      assert.equal(await leftovers(), '', `killed after ${delayMs} ms`);
    }
  });

  test('pods of before the kill are still whole after it', async () => {
    const pod = newSandbox();
    const result = await succeed('ADD', pod);
    signalProcess(lab, node.name, 'SIGKILL');
    await delay(200);
    await awaitAgent();
    await succeed('CHECK', pod, { prevResult: result });
    await succeed('DEL', pod);
  });
});
