// The loop that joins the parts, on virtual time: what Felix and the speaker are told, and when they are not told yet.
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { Speaker } from '#bgp';
import type { Felix } from '#felix';
import { parseIp, parsePrefix, type Prefix } from '#net';
import { createVirtualTimers } from '#reconcile';
import type { Cluster } from './cluster.ts';
import type { ClusterView } from './cluster-view.ts';
import { createControl } from './control.ts';
import type { Ipam } from './ipam-loop.ts';
import type { Tools } from './tools.ts';
import type { Workloads } from './workloads.ts';

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const block = parsePrefix('10.64.3.0/26');
const other = parsePrefix('10.64.9.0/26');
const self = { name: 'a', labels: {}, annotations: {}, internalIps: [parseIp('192.0.2.1')] };
const b = { name: 'b', labels: {}, annotations: {}, internalIps: [parseIp('192.0.2.2')] };

function view(): ClusterView {
  const pool = {
    name: 'p',
    cidr: parsePrefix('10.64.0.0/16'),
    blockSize: 26,
    disabled: false,
    natOutgoing: true,
    disableBGPExport: false,
    nodeSelector: 'all()',
    automatic: true,
    namespaceSelector: undefined,
    workloads: true,
    terminating: false,
    createdAt: '',
  };
  const ipam = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSec: 0 };
  return {
    nodes: [self, b],
    pools: [pool],
    reserved: [],
    peers: [],
    bgp: { as: 64512, mesh: true, listenPort: 179 },
    ipam,
  };
}

/** Parts that hold what a test puts there and note what they are told. */
function scene(options: { lastBlocks?: readonly Prefix[] } = {}) {
  const world = {
    view: view() as ClusterView | undefined,
    inSync: true,
    recovered: true,
    blocks: [] as Prefix[],
    programmed: [] as Prefix[],
    complete: true,
    peerState: 'established',
  };
  const told = {
    blocks: [] as unknown[],
    pools: [] as unknown[],
    workloads: [] as unknown[],
    peers: [] as string[][],
    originated: [] as string[][],
  };
  const timers = createVirtualTimers();
  let programmed: () => void = () => {};
  let changed: () => void = () => {};
  const felix = {
    setNode: () => {},
    setPools: (_pools: unknown, inSync: boolean) => void told.pools.push(inSync),
    setBlocks: (blocks: readonly Prefix[], inSync: boolean) => void told.blocks.push({ blocks, inSync }),
    setWorkloads: (_workloads: unknown, inSync: boolean) => void told.workloads.push(inSync),
    programmedBlocks: () => world.programmed,
    onProgrammed: (listener: () => void) => (programmed = listener),
  } as unknown as Felix;
  const speaker = {
    peers: async () => [{ state: world.peerState }],
    setPeers: (peers: readonly { name: string }[]) => void told.peers.push(peers.map(({ name }) => name)),
    setOriginated: (routes: readonly { prefix: Prefix }[]) =>
      void told.originated.push(routes.map(({ prefix }) => prefix)),
  } as unknown as Speaker;
  const allocator = {
    blocks: () => world.blocks.map((cidr) => ({ cidr, affine: true })),
    onBlocksChanged: (listener: () => void) => (changed = listener),
  };
  const cluster = {
    view: () => world.view,
    get inSync() {
      return world.inSync;
    },
  } as unknown as Cluster;
  const ipam = { allocator, recovered: () => world.recovered } as unknown as Ipam;
  const workloads = {
    all: () => [],
    get complete() {
      return world.complete;
    },
  } as unknown as Workloads;
  const identity = {
    node: self,
    addresses: { 4: parseIp('192.0.2.1') },
    as: 64512,
    routerId: parseIp('192.0.2.1'),
    listenPort: 179,
    detected: false,
  };
  const tools: Tools = {
    settings: { interfacePrefix: 'mx', advertiseWaitMs: 2000 } as Tools['settings'],
    timers,
    random: () => 0.5,
    log: quiet,
    changed: () => {},
  };
  const control = createControl(tools, {
    identity,
    cluster,
    ipam,
    felix,
    speaker,
    workloads,
    lastBlocks: options.lastBlocks ?? [],
  });
  /** Lets the loop run: it waits for files (the interfaces of this machine), so real turns of the event loop are needed. */
  const settle = async (): Promise<void> => {
    const ran = Promise.withResolvers<void>();
    control.onRun(() => ran.resolve());
    control.trigger();
    await timers.advanceAsync(1);
    await ran.promise;
  };
  return { world, told, timers, control, settle, hintProgrammed: () => programmed(), hintBlocks: () => changed() };
}

test('a block is originated only once its blackhole is in the kernel', async () => {
  const { world, told, control, settle } = scene();
  world.blocks = [block];
  control.start();
  await settle();
  deepEqual([told.originated, control.state().originating], [[], false]);
  world.programmed = [block];
  await settle();
  deepEqual(told.originated.at(-1), ['10.64.3.0/26']);
  deepEqual(told.peers.at(-1), ['mesh/b']);
  await control.stop();
});

test('a block the kernel refuses keeps the others back for five seconds only', async () => {
  const { world, told, timers, control, settle } = scene();
  world.blocks = [block, other];
  world.programmed = [other];
  control.start();
  await settle();
  deepEqual(told.originated, []);
  timers.advance(5001);
  await settle();
  deepEqual(told.originated.at(-1), ['10.64.9.0/26']);
  await control.stop();
});

test('until IPAM has read its blocks back, those of the last run stand for them and nothing is called complete', async () => {
  const { world, told, control, settle } = scene({ lastBlocks: [block] });
  world.recovered = false;
  world.inSync = false;
  world.complete = false;
  world.programmed = [block];
  control.start();
  await settle();
  deepEqual(told.blocks.at(-1), { blocks: [block], inSync: false });
  deepEqual([told.pools.at(-1), told.workloads.at(-1)], [false, false]);
  deepEqual(told.originated.at(-1), ['10.64.3.0/26']);
  equal(control.snapshot(), undefined);
  await control.stop();
});

test('without blocks of a last run nothing is originated before IPAM has answered: End-of-RIB would be a lie', async () => {
  const { world, told, control, settle } = scene();
  world.recovered = false;
  control.start();
  await settle();
  deepEqual(told.originated, []);
  world.recovered = true;
  await settle();
  deepEqual(told.originated.at(-1), []);
  equal(control.state().originating, true);
  await control.stop();
});

test('nothing is told while nothing is known of the cluster', async () => {
  const { world, told, control } = scene();
  world.view = undefined;
  control.start();
  await new Promise((resolve) => setImmediate(resolve));
  deepEqual([told.blocks, told.peers, told.originated], [[], [], []]);
  await control.stop();
});

test('the wait for a new block ends when it is originated, after the configured time, and at once with no session', async () => {
  const { world, timers, control, settle } = scene();
  control.start();
  await settle();
  world.blocks = [block];
  const first = control.advertised([block]);
  world.programmed = [block];
  await settle();
  await first;
  world.blocks = [block, other];
  const second = control.advertised([other]);
  timers.advance(2001);
  await second;
  await control.advertised([parsePrefix('10.64.77.0/26')]);
  world.peerState = 'active';
  await control.advertised([other]);
  await control.stop();
});

test('the snapshot is what is complete: view and confirmed blocks', async () => {
  const { world, control, settle } = scene();
  world.blocks = [block];
  control.start();
  await settle();
  deepEqual(control.snapshot()?.blocks, [block]);
  world.inSync = false;
  equal(control.snapshot(), undefined);
  await control.stop();
});
