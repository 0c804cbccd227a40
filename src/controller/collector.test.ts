// Collection on a memory store: what is freed and what is not, whatever the order of events; faults at every call.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ip, parseIp } from '#net';
import { addSandbox, collectAll, createWorld, noGuard, type World } from '../../test/support/controller-world.ts';
import { heldInStore, NEVER, pool } from '../../test/support/ipam-node.ts';
import { type Fate, WRITES } from '../../test/support/memory-store.ts';
import type { Collector } from './collector.ts';
import { NotLeadingError } from './election.ts';

const container = (index: number): string => index.toString(16).padStart(16, 'c');
const up = { reporting: true };

/** Two nodes with a block each; `n1` runs ns/a, `n2` runs ns/b, both reported; ns/lent of n2 borrowed from the block of n1. */
async function twoNodes(): Promise<World> {
  const world = createWorld({ pools: [pool('p', '10.64.0.0/29', 30)] });
  world.nodes.set('n1', up).set('n2', up);
  await run(world, 'ns/a', 'n1', 1);
  for (const [index, name] of ['b', 'c', 'd', 'e', 'lent'].entries()) await run(world, `ns/${name}`, 'n2', index + 2);
  return world;
}

async function run(world: World, pod: string, node: string, index: number): Promise<readonly Ip[]> {
  const ips = await addSandbox(world, { pod, node, container: container(index) });
  world.pods.set(pod, { node, finished: false, ips });
  return ips;
}

const handles = (world: World): string =>
  [...heldInStore(world.store).keys()]
    .map((each) => each.replace(/^c+/, ''))
    .toSorted()
    .join(' ');
const owners = (world: World): string =>
  [...world.store.snapshot().blocks.values()]
    .map(({ affinity }) => affinity ?? '-')
    .toSorted()
    .join(' ');
const affinities = (world: World): string =>
  [...world.store.snapshot().affinities.values()]
    .map(({ node }) => node)
    .toSorted()
    .join(' ');

test('nothing is freed while every pod lives', async () => {
  const world = await twoNodes();
  const before = world.store.snapshot();
  await collectAll(world, world.collector());
  assert.deepEqual(world.store.snapshot(), before);
  assert.equal(handles(world), '1.eth0 2.eth0 3.eth0 4.eth0 5.eth0 6.eth0');
});

/** Time passes, with a look at every tenth of it, the last at its end. */
async function pass(world: World, collector: Collector, ms: number): Promise<void> {
  await collector.run(noGuard, NEVER);
  for (let step = 0; step < 10; step += 1) {
    world.timers.advance(ms / 10);
    await collector.run(noGuard, NEVER);
  }
}

test('after a gap without a look the grace period begins anew', async () => {
  const world = await twoNodes();
  const collector = world.collector();
  world.pods.delete('ns/a');
  await collector.run(noGuard, NEVER);
  world.timers.advance(world.graceMs * 3);
  await collector.run(noGuard, NEVER);
  assert.match(handles(world), /1\.eth0/);
  await pass(world, collector, world.graceMs);
  assert.doesNotMatch(handles(world), /1\.eth0/);
});

interface Story {
  readonly name: string;
  readonly events: Readonly<Record<string, (world: World) => void>>;
  readonly held: string;
  readonly owners: string;
  readonly affinities: string;
}

const stories: readonly Story[] = [
  {
    name: 'a pod is gone without a DEL',
    events: { 'pod a goes': (world) => world.pods.delete('ns/a') },
    held: '2.eth0 3.eth0 4.eth0 5.eth0 6.eth0',
    owners: 'n1 n2',
    affinities: 'n1 n2',
  },
  {
    name: 'a Node goes with its pod; a borrower in its block lives',
    events: { 'node n1 goes': (world) => world.nodes.delete('n1'), 'pod a goes': (world) => world.pods.delete('ns/a') },
    held: '2.eth0 3.eth0 4.eth0 5.eth0 6.eth0',
    owners: 'n1 n2',
    affinities: 'n1 n2',
  },
  {
    name: 'a Node goes with its pod and the borrower',
    events: {
      'node n1 goes': (world) => world.nodes.delete('n1'),
      'pod a goes': (world) => world.pods.delete('ns/a'),
      'the borrower goes': (world) => world.pods.delete('ns/lent'),
    },
    held: '2.eth0 3.eth0 4.eth0 5.eth0',
    owners: 'n2',
    affinities: 'n2',
  },
  {
    name: 'a Node goes, its pod is still there',
    events: { 'node n1 goes': (world) => world.nodes.delete('n1') },
    held: '1.eth0 2.eth0 3.eth0 4.eth0 5.eth0 6.eth0',
    owners: 'n1 n2',
    affinities: 'n1 n2',
  },
  {
    name: 'the lender lives and the Node of the borrowers goes with all pods',
    events: {
      'node n2 goes': (world) => world.nodes.delete('n2'),
      'its pods go': (world) => ['b', 'c', 'd', 'e'].forEach((name) => world.pods.delete(`ns/${name}`)),
      'the borrower goes': (world) => world.pods.delete('ns/lent'),
    },
    held: '1.eth0',
    owners: 'n1',
    affinities: 'n1',
  },
  {
    name: 'a pod finished, another of the name of a third runs elsewhere',
    events: {
      'b finishes': (world) => world.pods.set('ns/b', { node: 'n2', finished: true, ips: [parseIp('10.64.0.0')] }),
      'c runs on n1': (world) => world.pods.set('ns/c', { node: 'n1', finished: false, ips: [] }),
    },
    held: '1.eth0 4.eth0 5.eth0 6.eth0',
    owners: 'n1 n2',
    affinities: 'n1 n2',
  },
];

/** Every order of the events, each also told twice. */
function orders<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length <= 1) return [items, [...items, ...items]];
  return items.flatMap((item, index) => {
    const rest = items.toSpliced(index, 1);
    return orders(rest).map((order) => [item, ...order]);
  });
}

for (const story of stories) {
  test(`${story.name}: the end is the same in any order of events, with rounds between them or not`, async () => {
    for (const order of orders(Object.keys(story.events))) {
      for (const observesBetween of [false, true]) {
        const world = await twoNodes();
        const collector = world.collector();
        for (const event of order) {
          story.events[event]?.(world);
          world.timers.advance(world.graceMs / 3);
          if (observesBetween) await collector.run(noGuard, NEVER);
        }
        await collectAll(world, collector);
        const seen = { held: handles(world), owners: owners(world), affinities: affinities(world) };
        const { held, owners: wantedOwners, affinities: wantedAffinities } = story;
        assert.deepEqual(seen, { held, owners: wantedOwners, affinities: wantedAffinities }, order.join(', '));
      }
    }
  });
}

test('an address is not freed before its grace period is over, and is after', async () => {
  const world = await twoNodes();
  const collector = world.collector();
  world.pods.delete('ns/a');
  await collector.run(noGuard, NEVER);
  await pass(world, collector, world.graceMs - 1);
  assert.match(handles(world), /1\.eth0/);
  world.timers.advance(1);
  await collector.run(noGuard, NEVER);
  assert.doesNotMatch(handles(world), /1\.eth0/);
  assert.equal(collector.status().reclaimed.addresses, 1);
});

test('a pod that comes back in time begins a new grace period when it goes again', async () => {
  const world = await twoNodes();
  const collector = world.collector();
  const view = world.pods.get('ns/a');
  assert.ok(view !== undefined);
  for (let time = 0; time < 5; time += 1) {
    world.pods.delete('ns/a');
    await collector.run(noGuard, NEVER);
    await pass(world, collector, world.graceMs * 0.9);
    world.pods.set('ns/a', view);
    await collector.run(noGuard, NEVER);
  }
  assert.match(handles(world), /1\.eth0/);
});

test('a cache that still misses a pod frees nothing: the pod is read again', async () => {
  const world = await twoNodes();
  const old = world.snapshot();
  const collector = world.collector({ cache: () => ({ ...old, pod: () => undefined, node: () => undefined }) });
  await collectAll(world, collector);
  assert.equal(handles(world), '1.eth0 2.eth0 3.eth0 4.eth0 5.eth0 6.eth0');
  assert.equal(owners(world), 'n1 n2');
});

test('a cache that still misses a Node takes no block from it: the Node is read again', async () => {
  const world = await twoNodes();
  const agent = await world.agent('n1');
  await agent.release(`${container(1)}.eth0`, NEVER);
  world.pods.delete('ns/a');
  await (await world.agent('n2')).release(`${container(6)}.eth0`, NEVER);
  world.pods.delete('ns/lent');
  const collector = world.collector({ cache: () => ({ ...world.snapshot(), node: () => undefined }) });
  await collectAll(world, collector);
  assert.equal(owners(world), 'n1 n2');
  assert.equal(collector.status().suspected.block, 1);
});

test('an address assigned again since it was seen is left alone, even by the same handle', async () => {
  const world = await twoNodes();
  const stale = world.snapshot();
  const agent = await world.agent('n1');
  await agent.release(`${container(1)}.eth0`, NEVER);
  await addSandbox(world, { pod: 'ns/a', node: 'n1', container: container(1) });
  world.pods.delete('ns/a');
  await collectAll(world, world.collector({ cache: () => ({ ...stale, pod: world.snapshot().pod }) }));
  assert.match(handles(world), /1\.eth0/);
});

test('nothing happens until every cache has listed', async () => {
  const world = await twoNodes();
  world.pods.clear();
  const collector = world.collector({ cache: () => undefined });
  await collectAll(world, collector);
  assert.equal(handles(world).split(' ').length, 6);
  assert.deepEqual(collector.status().suspected, { addresses: 0, block: 0, affinity: 0 });
});

test('holders that name no pod are never freed, nor is their block when the Node goes', async () => {
  const world = createWorld({ pools: [pool('p', '10.64.0.0/29', 30)] });
  world.nodes.set('n1', up);
  const agent = await world.agent('n1');
  for (const handle of ['retained.ns-db-0', 'k8s-pod-network.x'])
    await agent.assign({ handle, families: [4], attributes: { retained: 'yes' }, signal: NEVER });
  world.nodes.clear();
  await collectAll(world, world.collector());
  assert.deepEqual([...heldInStore(world.store).keys()].toSorted(), ['k8s-pod-network.x', 'retained.ns-db-0']);
  assert.equal(owners(world), 'n1');
});

test('a freed address rests for the cool-down, and an empty block goes only after it', async () => {
  const world = await twoNodes();
  world.cooldownSeconds = 120;
  world.pods.clear();
  world.nodes.delete('n1');
  const collector = world.collector();
  await collectAll(world, collector);
  assert.equal(handles(world), '');
  assert.equal(owners(world), 'n1 n2');
  world.timers.advance(120_000);
  await collectAll(world, collector);
  assert.equal(owners(world), 'n2');
});

test('one block that always conflicts delays nobody, though a round has room for one finding', async () => {
  const world = await twoNodes();
  for (const name of ['a', 'b', 'c', 'd', 'e']) world.pods.delete(`ns/${name}`);
  const bad = [...world.store.snapshot().blocks].find(([, { affinity }]) => affinity === 'n1')?.[0];
  const fate = (call: { name: string | undefined; verb: string }): Fate =>
    call.name === bad && call.verb === 'update' ? { kind: 'conflict' } : { kind: 'done' };
  const collector = world.collector({ store: world.store.client(fate), batch: 1 });
  await collectAll(world, collector);
  await collectAll(world, collector);
  assert.equal(handles(world), '1.eth0 6.eth0');
  assert.ok(collector.status().errors > 0);
});

test('who does not lead any more writes nothing', async () => {
  const world = await twoNodes();
  world.pods.clear();
  const collector = world.collector();
  for (let step = 0; step < 10; step += 1) {
    collector.observe();
    world.timers.advance(world.graceMs / 10);
  }
  assert.equal(collector.observe().length, 6);
  const calls = world.store.count(WRITES);
  const guard = (): void => {
    throw new NotLeadingError('over');
  };
  await assert.rejects(collector.run(guard, NEVER), NotLeadingError);
  assert.equal(world.store.count(WRITES), calls);
});

test('the collector killed at each call, with the write lost, done or answered never: the next one ends the work', async () => {
  let killedAt = 0;
  for (let last = false; !last; killedAt += 1) {
    for (const happens of ['now', 'never'] as const) {
      const world = await twoNodes();
      world.pods.clear();
      world.nodes.delete('n1');
      const killed = Promise.withResolvers<void>();
      const client = world.store.client((call): Fate => {
        if (call.index !== killedAt) return { kind: 'done' };
        killed.resolve();
        return { kind: 'silent', happens };
      });
      await Promise.race([collectAll(world, world.collector({ store: client })), killed.promise]);
      last = client.calls.length <= killedAt;
      await collectAll(world, world.collector());
      await collectAll(world, world.collector());
      assert.deepEqual(
        [handles(world), owners(world), affinities(world)],
        ['', 'n2', 'n2'],
        `killed at ${killedAt}, ${happens}`,
      );
    }
  }
  assert.ok(killedAt > 10, `only ${killedAt} calls`);
});
