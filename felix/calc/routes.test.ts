import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Prefix, parseIp, parsePrefix } from '#net';
import type { Workload } from '../inputs.ts';
import { Tables } from '../tables.ts';
import { NextHopResolver } from './next-hop.ts';
import { allPrefixes, type RouteInputs, wantedRoute } from './routes.ts';

/** One whole state of the inputs, by name; `wanted` is what the kernel should hold. */
interface State {
  readonly blocks?: readonly string[];
  readonly learned?: Readonly<Record<string, readonly string[]>>;
  readonly pods?: Readonly<Record<string, readonly string[]>>;
  readonly wanted: Readonly<Record<string, string>>;
}

const node = ['172.18.0.2', 'fd18::2'].map(parseIp);
const hop = (gateway: string | undefined) => ({
  gateway: gateway === undefined ? undefined : parseIp(gateway),
  device: 'up0',
  onlink: false,
});
const foreign = { type: 'unicast', protocol: 2, metric: 0, link: true, source: undefined, dead: false } as const;
const resolver = new NextHopResolver({
  addresses: new Set(node),
  routes: [
    { prefix: parsePrefix('172.18.0.0/24'), ...foreign, nextHops: [hop(undefined)] },
    { prefix: parsePrefix('fd18::/64'), ...foreign, nextHops: [hop(undefined)] },
    { prefix: parsePrefix('0.0.0.0/0'), ...foreign, nextHops: [hop('172.18.0.1')] },
  ],
});

const devices = new Set(['mxa', 'mxb']);

const states: Readonly<Record<string, State>> = {
  empty: { wanted: {} },
  'own block': {
    blocks: ['10.64.0.0/26', 'fd64::/122'],
    wanted: { '10.64.0.0/26': 'blackhole', 'fd64::/122': 'blackhole' },
  },
  'one pod': {
    blocks: ['10.64.0.0/26'],
    pods: { a: ['10.64.0.5', 'fd64::5'] },
    wanted: { '10.64.0.0/26': 'blackhole', '10.64.0.5/32': 'mxa from 172.18.0.2', 'fd64::5/128': 'mxa from fd18::2' },
  },
  'the same address in a new sandbox': {
    pods: { a: ['10.64.0.5'], b: ['10.64.0.5'] },
    wanted: { '10.64.0.5/32': 'mxb from 172.18.0.2' },
  },
  'a pod whose interface is gone': {
    pods: { c: ['10.64.0.5'] },
    wanted: { '10.64.0.5/32': 'no: interface mxc of its pod is missing or down' },
  },
  'a learned block': {
    learned: { '10.64.1.0/26': ['172.18.0.3'], 'fd64::40/122': ['fd18::3'] },
    wanted: { '10.64.1.0/26': '172.18.0.3 from 172.18.0.2', 'fd64::40/122': 'fd18::3 from fd18::2' },
  },
  'a learned block over two next hops': {
    learned: { '10.64.1.0/26': ['172.18.0.3', '172.18.0.4'] },
    wanted: { '10.64.1.0/26': '172.18.0.3 172.18.0.4 from 172.18.0.2' },
  },
  'a learned block without a usable next hop': {
    learned: { 'fd64::40/122': ['2001:db8::1'] },
    wanted: { 'fd64::40/122': 'no: no route to next hop 2001:db8::1' },
  },
  'a learned route equal to an own block': {
    blocks: ['10.64.0.0/26'],
    learned: { '10.64.0.0/26': ['172.18.0.3'] },
    wanted: { '10.64.0.0/26': 'blackhole' },
  },
  'a learned route inside an own block': {
    blocks: ['10.64.0.0/26'],
    learned: { '10.64.0.32/27': ['172.18.0.3'] },
    wanted: { '10.64.0.0/26': 'blackhole', '10.64.0.32/27': 'no: it lies inside own block 10.64.0.0/26' },
  },
  'an address of an own block borrowed elsewhere': {
    blocks: ['10.64.0.0/26'],
    learned: { '10.64.0.9/32': ['172.18.0.3'] },
    wanted: { '10.64.0.0/26': 'blackhole', '10.64.0.9/32': '172.18.0.3 from 172.18.0.2' },
  },
  'a learned route to the address of a local pod': {
    pods: { a: ['10.64.0.5'] },
    learned: { '10.64.0.5/32': ['172.18.0.3'] },
    wanted: { '10.64.0.5/32': 'mxa from 172.18.0.2' },
  },
  'a learned route that covers an own block': {
    blocks: ['10.64.0.0/26'],
    learned: { '10.64.0.0/16': ['172.18.0.1'] },
    wanted: { '10.64.0.0/26': 'blackhole', '10.64.0.0/16': '172.18.0.1 from 172.18.0.2' },
  },
};

function workloads(state: State): readonly Workload[] {
  return Object.entries(state.pods ?? {}).map(([id, addresses]) => ({
    containerId: id,
    ifname: 'eth0',
    netns: '/run/x',
    hostInterface: `mx${id}`,
    addresses: addresses.map(parseIp),
  }));
}

function enter(tables: Tables, state: State): void {
  tables.setNode(node);
  tables.setBlocks((state.blocks ?? []).map(parsePrefix), true);
  tables.setLearned(
    Object.entries(state.learned ?? {}).map(([to, hops]) => ({ prefix: parsePrefix(to), nextHops: hops.map(parseIp) })),
    true,
  );
  tables.setWorkloads(workloads(state), true);
}

function inputsOf(tables: Tables): RouteInputs {
  const { node, blocks, learned } = tables;
  return { node, blocks, learned, workloads: tables.workloadPrefixes(), resolver, devices, protocol: 84, metric: 8400 };
}

function say(prefix: Prefix, inputs: RouteInputs): string | undefined {
  const wanted = wantedRoute(prefix, inputs);
  if (wanted === undefined) return undefined;
  if ('reason' in wanted) return `no: ${wanted.reason}`;
  const { route } = wanted;
  if (route.type !== 'unicast') return route.type;
  return `${route.nextHops.map((each) => each.gateway ?? each.device).join(' ')} from ${route.source}`;
}

/** What the whole calculation says. */
function full(tables: Tables): Record<string, string> {
  const inputs = inputsOf(tables);
  return Object.fromEntries(
    [...allPrefixes(inputs)].flatMap((prefix) => {
      const said = say(prefix, inputs);
      return said === undefined ? [] : [[prefix, said]];
    }),
  );
}

/** What a follower of dirty prefixes alone believes. */
class Follower {
  believed: Record<string, string> = {};
  follow(tables: Tables): void {
    const dirty = tables.take();
    if (dirty.everything) this.believed = full(tables);
    for (const prefix of dirty.prefixes) {
      const said = say(prefix, inputsOf(tables));
      if (said === undefined) delete this.believed[prefix];
      else this.believed[prefix] = said;
    }
  }
}

for (const [name, state] of Object.entries(states)) {
  test(`wanted routes: ${name}`, () => {
    const tables = new Tables();
    enter(tables, state);
    assert.deepEqual(full(tables), state.wanted);
  });
}

/** Expanders: other ways to walk the same sequence, which must end in the same place. */
const expanders: Readonly<Record<string, (sequence: readonly State[]) => readonly State[]>> = {
  'as it is': (sequence) => sequence,
  'each state twice': (sequence) => sequence.flatMap((state) => [state, state]),
  'empty in between': (sequence) => sequence.flatMap((state) => [{ wanted: {} }, state]),
  'there and back and there': (sequence) => [...sequence, ...sequence.toReversed(), ...sequence],
  'only the last': (sequence) => sequence.slice(-1),
};

const sequence = fc.array(fc.constantFrom(...Object.values(states)), { minLength: 1, maxLength: 8 });

for (const [name, expand] of Object.entries(expanders)) {
  test(`wanted routes depend on the last state only: ${name}`, () => {
    fc.assert(
      fc.property(sequence, fc.array(fc.boolean()), (walk, looks) => {
        const tables = new Tables();
        const follower = new Follower();
        for (const [index, state] of expand(walk).entries()) {
          enter(tables, state);
          if (looks[index] === true) follower.follow(tables);
        }
        follower.follow(tables);
        assert.deepEqual(full(tables), walk.at(-1)?.wanted);
        assert.deepEqual(follower.believed, walk.at(-1)?.wanted, 'the follower of dirty prefixes agrees');
      }),
    );
  });
}

test('setting the same again marks nothing dirty', () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(states)), (state) => {
      const tables = new Tables();
      enter(tables, state);
      tables.setPools([], true);
      tables.take();
      enter(tables, state);
      tables.setPools([], true);
      assert.deepEqual(tables.take(), { everything: false, prefixes: new Set(), nat: false });
    }),
  );
});

test('learned changes arrive in any cutting', () => {
  const tables = new Tables();
  tables.setNode(node);
  const a = { prefix: parsePrefix('10.64.1.0/26'), nextHops: [parseIp('172.18.0.3')] };
  const b = { prefix: parsePrefix('10.64.2.0/26'), nextHops: [parseIp('172.18.0.4')] };
  tables.applyLearned({ changes: [a, b], inSync: false });
  tables.applyLearned({ changes: [{ ...a, nextHops: [] }], inSync: true });
  assert.deepEqual(full(tables), { '10.64.2.0/26': '172.18.0.4 from 172.18.0.2' });
  assert.equal(tables.inSync.learned, true);
});
