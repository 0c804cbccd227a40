import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ip, type Prefix, parseIp, parsePrefix } from '#net';
import { createVirtualTimers } from '#reconcile';
import { FakeKernel } from '../test/support/fake-kernel.ts';
import { createIproute2Backend } from './driver/iproute2-backend.ts';
import type { Workload } from './inputs.ts';
import { Loop } from './loop.ts';
import { defaultFelixSettings } from './ownership.ts';
import { Tables } from './tables.ts';

const ip = (text: string): Ip => parseIp(text);
const prefix = (text: string): Prefix => parsePrefix(text);
const OURS = defaultFelixSettings.routeProtocol;
const METRIC = defaultFelixSettings.metric;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A node 172.18.0.2 on 172.18.0.0/24 with a default route, as a provider's network gives it. */
function node(): FakeKernel {
  const kernel = new FakeKernel();
  kernel.addresses = [{ device: 'up0', ip: ip('172.18.0.2'), length: 24 }];
  kernel.put({ prefix: prefix('172.18.0.0/24'), protocol: 2, link: true, nextHops: [hop(undefined, 'up0')] });
  kernel.put({ prefix: prefix('0.0.0.0/0'), protocol: 4, nextHops: [hop('172.18.0.1', 'up0')] });
  return kernel;
}

function hop(gateway: string | undefined, device: string) {
  return { gateway: gateway === undefined ? undefined : ip(gateway), device, onlink: false };
}

function ours(text: string, nextHop?: string, device = 'up0') {
  const base = { prefix: prefix(text), protocol: OURS, metric: METRIC };
  if (nextHop === undefined) return { ...base, type: 'blackhole' as const };
  return { ...base, source: ip('172.18.0.2'), nextHops: [hop(nextHop, device)] };
}

function pod(id: string, ...addresses: string[]): Workload {
  return { containerId: id, ifname: 'eth0', netns: '/run/x', hostInterface: `mx${id}`, addresses: addresses.map(ip) };
}

async function startLoop(kernel: FakeKernel, tables = new Tables()) {
  kernel.wire(pod('a', '10.64.0.5'));
  const timers = createVirtualTimers();
  const loop = new Loop({
    settings: defaultFelixSettings,
    tables,
    batch: kernel.batch,
    shell: kernel.shell,
    backend: createIproute2Backend({
      batch: kernel.batch,
      shell: kernel.shell,
      ownership: { protocol: OURS, metric: METRIC, nexthops: false },
    }),
    nexthops: false,
    sysctls: kernel.sysctlFiles,
    natAvailable: true,
    log: silent,
    timers,
    random: () => 0.5,
  });
  await loop.start(() => undefined);
  const settle = async (ms = 50) => {
    loop.trigger();
    await timers.advanceAsync(ms);
  };
  return { loop, tables, timers, settle };
}

/** Fills every input, in sync. */
function fill(tables: Tables, inputs: { blocks?: string[]; learned?: Record<string, string[]>; pods?: Workload[] }) {
  tables.setNode([ip('172.18.0.2')]);
  tables.setBlocks((inputs.blocks ?? []).map(prefix), true);
  const learned = Object.entries(inputs.learned ?? {});
  tables.setLearned(
    learned.map(([to, hops]) => ({ prefix: prefix(to), nextHops: hops.map(ip) })),
    true,
  );
  tables.setWorkloads(inputs.pods ?? [], true);
  tables.setPools([], true);
}

interface Case {
  readonly name: string;
  readonly before: (kernel: FakeKernel) => void;
  readonly blocks?: string[];
  readonly learned?: Record<string, string[]>;
  readonly pods?: Workload[];
  readonly commands: readonly string[];
  readonly after: Readonly<Record<string, string>>;
}

const S = `proto ${OURS} metric ${METRIC}`;

const cases: readonly Case[] = [
  {
    name: 'an empty kernel is given everything, pods first in conflict order',
    before: () => undefined,
    blocks: ['10.64.0.0/26'],
    learned: { '10.64.1.0/26': ['172.18.0.3'] },
    pods: [pod('a', '10.64.0.5')],
    commands: [
      `route add 10.64.0.5/32 dev mxa scope link ${S} src 172.18.0.2`,
      `route add blackhole 10.64.0.0/26 ${S}`,
      `route add 10.64.1.0/26 via 172.18.0.3 dev up0 ${S} src 172.18.0.2`,
    ],
    after: { '10.64.0.0/26': 'blackhole', '10.64.0.5/32': '%mxa', '10.64.1.0/26': '172.18.0.3%up0' },
  },
  {
    name: 'a kernel that holds everything is left alone',
    before: (kernel) => kernel.put(ours('10.64.0.0/26')).put(ours('10.64.1.0/26', '172.18.0.3')),
    blocks: ['10.64.0.0/26'],
    learned: { '10.64.1.0/26': ['172.18.0.3'] },
    commands: [],
    after: { '10.64.0.0/26': 'blackhole', '10.64.1.0/26': '172.18.0.3%up0' },
  },
  {
    name: 'a modified route is replaced in place, never removed first',
    before: (kernel) => kernel.put(ours('10.64.1.0/26', '172.18.0.9')),
    learned: { '10.64.1.0/26': ['172.18.0.3'] },
    commands: [`route replace 10.64.1.0/26 via 172.18.0.3 dev up0 ${S} src 172.18.0.2`],
    after: { '10.64.1.0/26': '172.18.0.3%up0' },
  },
  {
    name: 'a leftover goes, by protocol and metric, after what is new has come',
    before: (kernel) => kernel.put(ours('10.64.7.0/26', '172.18.0.9')),
    learned: { '10.64.1.0/26': ['172.18.0.3'] },
    commands: [`route add 10.64.1.0/26 via 172.18.0.3 dev up0 ${S} src 172.18.0.2`, `route del 10.64.7.0/26 ${S}`],
    after: { '10.64.1.0/26': '172.18.0.3%up0' },
  },
  {
    name: 'a leftover of an older metric goes too',
    before: (kernel) => kernel.put({ ...ours('10.64.7.0/26', '172.18.0.9'), metric: 5 }),
    commands: [`route del 10.64.7.0/26 proto ${OURS} metric 5`],
    after: {},
  },
  {
    name: 'a foreign route of equal prefix and metric is not touched and nothing is tried',
    before: (kernel) => kernel.put({ ...ours('10.64.1.0/26', '172.18.0.9'), protocol: 3 }),
    learned: { '10.64.1.0/26': ['172.18.0.3'] },
    commands: [],
    after: {},
  },
  {
    name: 'a foreign route of equal prefix and another metric stays beside ours',
    before: (kernel) => kernel.put({ ...ours('10.64.1.0/26', '172.18.0.9'), protocol: 3, metric: 0 }),
    learned: { '10.64.1.0/26': ['172.18.0.3'] },
    commands: [`route add 10.64.1.0/26 via 172.18.0.3 dev up0 ${S} src 172.18.0.2`],
    after: { '10.64.1.0/26': '172.18.0.3%up0' },
  },
  {
    name: 'a next hop that is not connected goes by the gateway of the route that covers it',
    before: () => undefined,
    learned: { '10.64.1.0/26': ['203.0.113.7'] },
    commands: [`route add 10.64.1.0/26 via 172.18.0.1 dev up0 ${S} src 172.18.0.2`],
    after: { '10.64.1.0/26': '172.18.0.1%up0' },
  },
  {
    name: 'several next hops are one multipath route',
    before: () => undefined,
    learned: { '10.64.1.0/26': ['172.18.0.3', '172.18.0.4'] },
    commands: [
      `route add 10.64.1.0/26 ${S} src 172.18.0.2 nexthop via 172.18.0.3 dev up0 nexthop via 172.18.0.4 dev up0`,
    ],
    after: { '10.64.1.0/26': '172.18.0.3%up0 172.18.0.4%up0' },
  },
];

for (const row of cases) {
  test(`routes: ${row.name}`, async () => {
    const kernel = node();
    row.before(kernel);
    const foreign = kernel.view(3);
    const { loop, tables, settle } = await startLoop(kernel);
    fill(tables, row);
    await settle();
    assert.deepEqual(kernel.commands, row.commands);
    assert.deepEqual(kernel.view(OURS), row.after);
    assert.deepEqual(kernel.view(3), foreign);
    loop.suspect();
    await settle();
    assert.deepEqual(kernel.commands, row.commands, 'a second run issues none');
    await loop.stop();
  });
}

const rich = {
  blocks: ['10.64.0.0/26'],
  learned: { '10.64.1.0/26': ['172.18.0.3'], '10.64.2.0/26': ['172.18.0.4'] },
  pods: [pod('a', '10.64.0.5')],
};

for (const what of ['read', 'batch', 'nft', '10.64.1.0/26', '10.64.0.0/26', '10.64.0.5/32']) {
  test(`a failing ${what} is tried again until the kernel is as wanted`, async () => {
    const kernel = node().put(ours('10.64.9.0/26', '172.18.0.3'));
    const { loop, tables, settle } = await startLoop(kernel);
    kernel.failNext.add(what);
    fill(tables, rich);
    tables.setPools([{ cidr: prefix('10.64.0.0/16'), natOutgoing: true }], true);
    if (what === 'read') loop.suspect();
    await settle(5000);
    assert.deepEqual(kernel.view(OURS), {
      '10.64.0.0/26': 'blackhole',
      '10.64.0.5/32': '%mxa',
      '10.64.1.0/26': '172.18.0.3%up0',
      '10.64.2.0/26': '172.18.0.4%up0',
    });
    assert.match(kernel.table ?? '', /masquerade/);
    assert.ok(loop.counters.failures >= 1);
    assert.equal(loop.lastError, undefined);
    await loop.stop();
  });
}

test('one refused route does not hold up the others', async () => {
  const kernel = node();
  const { loop, tables, settle } = await startLoop(kernel);
  kernel.failNext.add('10.64.1.0/26');
  fill(tables, rich);
  await settle(10);
  assert.deepEqual(Object.keys(kernel.view(OURS)), ['10.64.0.0/26', '10.64.0.5/32', '10.64.2.0/26']);
  await loop.stop();
});

test('nothing is written before the node is known', async () => {
  const kernel = node().put(ours('10.64.9.0/26', '172.18.0.3'));
  const { loop, tables, settle } = await startLoop(kernel);
  tables.setBlocks([prefix('10.64.0.0/26')], true);
  tables.setLearned([], true);
  await settle();
  assert.deepEqual(kernel.commands, []);
  await loop.stop();
});

test('nothing is removed before the input that could want it is in sync', async () => {
  const kernel = node()
    .put(ours('10.64.0.0/26'))
    .put(ours('10.64.1.0/26', '172.18.0.3'))
    .put({ ...ours('10.64.0.5/32'), type: 'unicast', link: true, nextHops: [hop(undefined, 'mxa')] });
  const { loop, tables, settle } = await startLoop(kernel);
  tables.setNode([ip('172.18.0.2')]);
  await settle();
  assert.equal(Object.keys(kernel.view(OURS)).length, 3);
  tables.setLearned([], true);
  await settle();
  assert.deepEqual(Object.keys(kernel.view(OURS)), ['10.64.0.0/26', '10.64.0.5/32']);
  tables.setWorkloads([], true);
  await settle();
  assert.deepEqual(Object.keys(kernel.view(OURS)), ['10.64.0.0/26']);
  tables.setBlocks([], true);
  await settle();
  assert.deepEqual(kernel.view(OURS), {});
  await loop.stop();
});

test('waiting for a prefix ends when the kernel has it, or with the reason why not', async () => {
  const kernel = node();
  const { loop, tables, timers } = await startLoop(kernel);
  fill(tables, { blocks: ['10.64.0.0/26'], learned: { '10.64.1.0/26': ['172.18.0.2'] } });
  const outcome = Promise.allSettled([loop.applied([prefix('10.64.0.0/26')]), loop.applied([prefix('10.64.1.0/26')])]);
  await timers.advanceAsync(50);
  const [first, second] = await outcome;
  assert.equal(first.status, 'fulfilled');
  assert.equal(second.status, 'rejected');
  assert.match(String(second.status === 'rejected' && second.reason), /next hop 172.18.0.2 is this node itself/);
  await loop.stop();
});

test('a repair is booked with what was wrong and how long it took', async () => {
  const kernel = node();
  const { loop, tables, timers, settle } = await startLoop(kernel);
  fill(tables, rich);
  await settle();
  kernel.routes.delete(`10.64.0.0/26 ${METRIC}`);
  kernel.put(ours('10.64.1.0/26', '172.18.0.9'));
  kernel.put(ours('10.99.0.0/26', '172.18.0.9'));
  loop.suspect();
  await timers.advanceAsync(50);
  assert.deepEqual(loop.drift.status, { added: 1, changed: 1, removed: 1, links: 0, nat: 0, sysctls: 0 });
  assert.match(loop.drift.lastRepair?.what ?? '', /^route 10\.64\.\S+ \((deleted|modified)\) and 2 more$/);
  await loop.stop();
});

test('a flushed nft table and a changed sysctl are put back at the audit', async () => {
  const kernel = node();
  const { loop, tables, timers, settle } = await startLoop(kernel);
  fill(tables, rich);
  tables.setPools([{ cidr: prefix('10.64.0.0/16'), natOutgoing: true }], true);
  await settle();
  assert.equal(kernel.sysctls.get('net/ipv4/ip_forward'), '1');
  kernel.table = undefined;
  kernel.sysctls.set('net/ipv4/ip_forward', '0');
  await timers.advanceAsync(defaultFelixSettings.resyncMs + 1000);
  assert.match(kernel.table ?? '', /nat-pools-4/);
  assert.equal(kernel.sysctls.get('net/ipv4/ip_forward'), '1');
  assert.deepEqual(loop.drift.status, { added: 0, changed: 0, removed: 0, links: 0, nat: 1, sysctls: 1 });
  await loop.stop();
});

test('the route of an address that moved to a new sandbox is replaced, and survives the end of the old one', async () => {
  const kernel = node();
  const { loop, tables, settle } = await startLoop(kernel);
  fill(tables, { pods: [pod('a', '10.64.0.5')] });
  const b = pod('b', '10.64.0.5');
  await settle();
  kernel.wire(b);
  loop.deviceMade(b.hostInterface);
  tables.plugged(b);
  await settle();
  assert.deepEqual(kernel.view(OURS), { '10.64.0.5/32': '%mxb' });
  tables.unplugged('mxa');
  await settle();
  assert.deepEqual(kernel.view(OURS), { '10.64.0.5/32': '%mxb' });
  assert.equal(kernel.commands.filter((line) => line.startsWith('route del')).length, 0);
  await loop.stop();
});

test("the agent's memory may lag behind what was plugged and unplugged", async () => {
  const kernel = node();
  const { loop, tables, settle } = await startLoop(kernel);
  fill(tables, {});
  const a = pod('a', '10.64.0.5');
  tables.plugged(a);
  tables.setWorkloads([], true);
  await settle();
  assert.deepEqual(kernel.view(OURS), { '10.64.0.5/32': '%mxa' }, 'plugged, not remembered yet');
  tables.setWorkloads([a], true);
  tables.unplugged(a.hostInterface);
  tables.setWorkloads([a], true);
  await settle();
  assert.deepEqual(kernel.view(OURS), {}, 'unplugged, still remembered');
  tables.setWorkloads([], true);
  tables.plugged(a);
  tables.setWorkloads([a], true);
  tables.setWorkloads([], true);
  await settle();
  assert.deepEqual(kernel.view(OURS), {}, 'remembered once, then forgotten');
  await loop.stop();
});

test('a pod whose interface is gone is reported and hinders nothing; when it is back, so is its route', async () => {
  const kernel = node();
  const { loop, tables, settle } = await startLoop(kernel);
  fill(tables, { ...rich, pods: [pod('a', '10.64.0.5'), pod('z', '10.64.0.9')] });
  await settle();
  assert.deepEqual([...loop.routes.unresolved], [['10.64.0.9/32', 'interface mxz of its pod is missing or down']]);
  assert.equal(loop.counters.failures, 0);
  kernel.wire(pod('z', '10.64.0.9'));
  loop.suspect();
  await settle();
  assert.equal(kernel.view(OURS)['10.64.0.9/32'], '%mxz');
  await loop.stop();
});

const hostDamages: Readonly<Record<string, (kernel: FakeKernel) => void>> = {
  'a host end set down': (kernel) => kernel.setDown('mxa'),
  'flushed neighbours': (kernel) => kernel.neighbours.clear(),
};
for (const [name, damage] of Object.entries(hostDamages)) {
  test(`${name} is put right, its routes with it, in one run`, async () => {
    const kernel = node();
    const { loop, tables, settle } = await startLoop(kernel);
    fill(tables, rich);
    await settle();
    const before = kernel.view(OURS);
    damage(kernel);
    loop.suspect();
    await settle();
    assert.deepEqual(kernel.view(OURS), before);
    assert.equal(loop.drift.status.links, 1);
    assert.equal(kernel.isUp('mxa'), true);
    assert.ok(kernel.neighbours.has('mxa 10.64.0.5'));
    const commands = kernel.commands.length;
    loop.suspect();
    await settle();
    assert.equal(kernel.commands.length, commands, 'a second run issues none');
    await loop.stop();
  });
}
