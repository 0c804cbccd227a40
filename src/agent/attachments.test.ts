// The CNI verbs on a node: a real allocator on a store in memory, real records on disk, and a Felix that notes what it is
// asked and fails on demand. The law: whatever fails, either the pod is whole or nothing of it is left.
import { deepEqual, equal, rejects } from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { CniError, type AddRequest, type CniRequest } from '#cni-protocol';
import { FelixError, hostInterfaceName, type Felix, type Workload } from '#felix';
import type { Allocator } from '#ipam';
import { allocatorOf, NEVER, pool } from '../../test/support/ipam-node.ts';
import { createMemoryStore, type Fate } from '../../test/support/memory-store.ts';
import { createAttachments } from './attachments.ts';
import { handleOf, openWorkloads, type Workloads } from './workloads.ts';

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

interface Node {
  readonly handle: (request: CniRequest) => Promise<unknown>;
  readonly allocator: Allocator;
  readonly workloads: Workloads;
  readonly folder: string;
  readonly plugged: Map<string, Workload>;
  readonly advertised: string[];
}

interface Scene {
  plug?: () => void;
  readonly wait?: () => Promise<void>;
  readonly fault?: string;
  readonly fate?: () => Fate | undefined;
}

async function node(scene: Scene = {}): Promise<Node> {
  const folder = await mkdtemp(join(tmpdir(), 'manx-agent-'));
  folders.push(folder);
  const store = createMemoryStore({ intercept: () => scene.fate?.() ?? { kind: 'done' } });
  const allocator = allocatorOf({
    node: 'a',
    store,
    pools: [pool('p4', '10.64.0.0/16', 26), pool('p6', 'fd00:64::/48', 122)],
  });
  await allocator.recover(NEVER);
  const tools = { log: quiet, changed: () => {} } as unknown as Parameters<typeof openWorkloads>[0];
  const workloads = await openWorkloads(tools, folder);
  const plugged = new Map<string, Workload>();
  const felix = {
    prepare: async () => undefined,
    plug: async (workload: Workload) => {
      scene.plug?.();
      await scene.wait?.();
      plugged.set(handleOf(workload), workload);
    },
    unplug: async (key: Workload) => void plugged.delete(handleOf(key)),
    check: async (workload: Workload) => (plugged.has(handleOf(workload)) ? [] : ['host interface is missing']),
    interfaces: async () => [...plugged.values()].map((workload) => workload.hostInterface),
    removeInterface: async (name: string) => {
      for (const [handle, workload] of plugged) if (workload.hostInterface === name) plugged.delete(handle);
    },
  } as unknown as Felix;
  const advertised: string[] = [];
  const handle = createAttachments({
    felix,
    allocator,
    workloads,
    interfacePrefix: 'mx',
    mtu: undefined,
    request: async () => ({ families: [4, 6] }),
    fault: () => scene.fault,
    advertised: async (blocks) => void advertised.push(...blocks),
    log: quiet,
  });
  return { handle, allocator, workloads, folder, plugged, advertised };
}

const add: AddRequest = {
  command: 'ADD',
  containerId: 'c1',
  ifname: 'eth0',
  netns: '/run/netns/p1',
  pod: { namespace: 'default', name: 'web' },
  mtu: undefined,
};
const del = { command: 'DEL', containerId: 'c1', ifname: 'eth0' } as const;

async function nothingIsLeft({ allocator, plugged, folder }: Node): Promise<void> {
  deepEqual(allocator.allocations(), []);
  deepEqual([...plugged], []);
  deepEqual(await readdir(folder), []);
}

test('ADD assigns both families, wires, records and waits for the advertisement', async () => {
  const n = await node();
  const response = (await n.handle(add)) as { result: { addresses: string[]; hostInterface: { name: string } } };
  equal(response.result.addresses.length, 2);
  equal(response.result.hostInterface.name, hostInterfaceName('c1', 'eth0', 'mx'));
  deepEqual(
    n.allocator.allocations().map(({ handle }) => handle),
    ['c1.eth0', 'c1.eth0'],
  );
  deepEqual(await readdir(n.folder), ['c1.eth0.json']);
  equal(n.advertised.length, 2);
});

test('a second ADD gives the same addresses and makes nothing new', async () => {
  const n = await node();
  deepEqual(await n.handle(add), await n.handle(add));
  equal(n.allocator.allocations().length, 2);
});

test('DEL leaves nothing, twice, and without an ADD before', async () => {
  const n = await node();
  await n.handle(del);
  await n.handle(add);
  await n.handle(del);
  await nothingIsLeft(n);
  await n.handle(del);
});

test('DEL of an old sandbox leaves the new one of the same pod alone', async () => {
  const n = await node();
  await n.handle(add);
  await n.handle({ ...add, containerId: 'c2' });
  await n.handle(del);
  deepEqual([...n.plugged.keys()], ['c2.eth0']);
  equal(n.allocator.allocations().length, 2);
});

const failures: readonly { name: string; error: Error; code: number }[] = [
  { name: 'the namespace is gone', error: new FelixError('NETNS_MISSING', 'no namespace'), code: 3 },
  { name: 'the name is taken', error: new FelixError('INTERFACE_TAKEN', 'eth0 exists'), code: 4 },
  { name: 'the kernel refuses', error: new FelixError('KERNEL_REFUSED', 'no memory'), code: 11 },
  { name: 'we are wrong', error: new TypeError('undefined is not a function'), code: 11 },
];
for (const { name, error, code } of failures) {
  test(`when ${name}, ADD fails with code ${code} and nothing is left`, async () => {
    const n = await node({
      plug: () => {
        throw error;
      },
    });
    await rejects(n.handle(add), (thrown: unknown) => thrown instanceof CniError && thrown.code === code);
    await nothingIsLeft(n);
  });
}

test('a failed repeat of ADD does not take the running pod away', async () => {
  const scene: Scene = {};
  const n = await node(scene);
  await n.handle(add);
  scene.plug = () => {
    throw new FelixError('KERNEL_REFUSED', 'busy');
  };
  await rejects(n.handle(add));
  equal(n.allocator.allocations().length, 2);
  equal(n.workloads.all().length, 1);
});

test('when the record cannot be written, ADD fails with code 5 and nothing is left', async () => {
  const n = await node();
  await rm(n.folder, { recursive: true });
  await rejects(n.handle(add), (thrown: unknown) => thrown instanceof CniError && thrown.code === 5);
  deepEqual(n.allocator.allocations(), []);
  deepEqual([...n.plugged], []);
  folders.length = 0;
});

test('while the API is away ADD and DEL say try again, and DEL forgets nothing', async () => {
  let away = false;
  const n = await node({ fate: () => (away ? { kind: 'unavailable' } : undefined) });
  await n.handle(add);
  away = true;
  const again = (thrown: unknown): boolean => thrown instanceof CniError && thrown.code === 11;
  await rejects(n.handle({ ...add, containerId: 'c2' }), again);
  await rejects(n.handle(del), again);
  equal(n.workloads.all().length, 1);
  away = false;
  await n.handle(del);
  await nothingIsLeft(n);
});

test('while the agent is not ready ADD is code 11 and STATUS code 50, with the reason; DEL still works', async () => {
  const n = await node({ fault: 'ipam: no IPPool serves this node' });
  await rejects(n.handle(add), { code: 11, message: /no IPPool serves/ });
  await rejects(n.handle({ command: 'STATUS' }), { code: 50, message: /no IPPool serves/ });
  await n.handle(del);
});

test('CHECK passes for what ADD made and names differences with code 101', async () => {
  const n = await node();
  await n.handle(add);
  const addresses = n.workloads.all().flatMap((workload) => workload.addresses);
  const check = { command: 'CHECK', containerId: 'c1', ifname: 'eth0', netns: '/run/netns/p1', addresses } as const;
  await n.handle(check);
  await rejects(n.handle({ ...check, addresses: ['10.64.0.99'] }), { code: 101 });
  n.plugged.clear();
  await rejects(n.handle(check), { code: 101, message: /host interface is missing/ });
  await rejects(n.handle({ ...check, containerId: 'c9' }), { code: 3 });
});

test('GC removes every attachment that is not listed, and those without a record', async () => {
  const n = await node();
  for (const containerId of ['c1', 'c2', 'c3']) await n.handle({ ...add, containerId });
  await n.allocator.assign({ handle: 'lost.eth0', families: [4], attributes: {}, signal: NEVER });
  await n.handle({ command: 'GC', valid: [{ containerId: 'c2', ifname: 'eth0' }] });
  deepEqual([...n.plugged.keys()], ['c2.eth0']);
  deepEqual([...new Set(n.allocator.allocations().map(({ handle }) => handle))], ['c2.eth0']);
  deepEqual(await readdir(n.folder), ['c2.eth0.json']);
});

test('50 ADDs and DELs at once end with what was not deleted', async () => {
  const n = await node();
  const ids = Array.from({ length: 50 }, (_, i) => `c${i}`);
  await Promise.all(ids.map((containerId) => n.handle({ ...add, containerId })));
  await Promise.all(ids.filter((_, i) => i % 2 === 0).map((containerId) => n.handle({ ...del, containerId })));
  equal(n.workloads.all().length, 25);
  equal(new Set(n.allocator.allocations().map(({ ip }) => ip)).size, 50);
});

test('GC takes nothing from an ADD that is in hand', async () => {
  const gate = Promise.withResolvers<void>();
  const plugging = Promise.withResolvers<void>();
  const n = await node({
    wait: async () => {
      plugging.resolve();
      await gate.promise;
    },
  });
  const added = n.handle(add);
  await plugging.promise;
  await n.handle({ command: 'GC', valid: [] });
  gate.resolve();
  await added;
  equal(n.allocator.allocations().length, 2);
  equal(n.workloads.all().length, 1);
});
