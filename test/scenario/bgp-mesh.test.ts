/** Stories of speakers among themselves: a full iBGP mesh, loss, withdrawal, collisions, policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSpec } from '#bgp';
import { parsePrefix } from '#net';
import { Node, type Network, peerSpec, withNetwork } from './network.ts';

const NAMES = ['a', 'b', 'c'];
const p = parsePrefix;

function createMesh(network: Network, names = NAMES): Node[] {
  return names.map((name, index) => new Node(network, name, { address: `192.0.2.${index + 1}`, as: 64512 }));
}

async function startMesh(nodes: readonly Node[], changes: Partial<PeerSpec> = {}): Promise<void> {
  for (const [index, node] of nodes.entries()) {
    const others = nodes.filter((other) => other !== node).map((other) => peerSpec(other, changes));
    await node.start(others, [`10.64.${index}.0/26`]);
  }
}

/**
 *   a ─── b
 *    \   /      full mesh, one AS
 *      c
 */
test('a mesh of three learns every block with its owner as next hop, and says so', () =>
  withNetwork(1, async (network) => {
    const nodes = createMesh(network);
    await startMesh(nodes);
    await network.timers.advanceAsync(10_000);
    const [a, b, c] = nodes as [Node, Node, Node];
    assert.deepEqual(Object.fromEntries(a.kernel), {
      '10.64.1.0/26': ['192.0.2.2'],
      '10.64.2.0/26': ['192.0.2.3'],
    });
    assert.deepEqual([...c.kernel.keys()].sort(), ['10.64.0.0/26', '10.64.1.0/26']);
    assert.ok(a.inSync && b.inSync && c.inSync, 'all in sync after End-of-RIB');
    for (const status of await b.speaker.peers()) {
      assert.equal(status.state, 'established');
      assert.deepEqual([status.received, status.accepted, status.advertised], [1, 1, 1]);
    }
  }));

test('in sync is not reported while a configured peer has not told all, and is after the deferral time', () =>
  withNetwork(2, async (network) => {
    const [a, b, c] = createMesh(network) as [Node, Node, Node];
    await a.start([peerSpec(b), peerSpec(c)], []);
    await b.start([peerSpec(a)], ['10.64.1.0/26']);
    await network.timers.advanceAsync(50_000);
    assert.equal(a.kernel.size, 1);
    assert.equal(a.inSync, false, 'c never came up');
    await network.timers.advanceAsync(15_000);
    assert.equal(a.inSync, true);
  }));

test('a withdrawn block disappears, an added one appears, and nothing else is touched', () =>
  withNetwork(3, async (network) => {
    const nodes = createMesh(network);
    await startMesh(nodes);
    await network.timers.advanceAsync(10_000);
    const [a, b] = nodes as [Node, Node];
    b.originate(['10.64.7.0/26']);
    await network.timers.advanceAsync(100);
    assert.deepEqual([...a.kernel.keys()].sort(), ['10.64.2.0/26', '10.64.7.0/26']);
    assert.deepEqual(a.lost, ['10.64.1.0/26']);
  }));

test('a peer that vanishes without graceful restart is forgotten at its hold time, not before', () =>
  withNetwork(4, async (network) => {
    const nodes = createMesh(network);
    await startMesh(nodes, { gracefulRestart: false, holdTimeSec: 30 });
    await network.timers.advanceAsync(10_000);
    const [a, b] = nodes as [Node, Node];
    network.cut(b.address);
    await network.timers.advanceAsync(19_000);
    assert.ok(a.kernel.has(p('10.64.1.0/26')), 'still there before the hold time');
    await network.timers.advanceAsync(12_000);
    assert.deepEqual([...a.kernel.keys()], ['10.64.2.0/26']);
    network.heal(b.address);
    await network.timers.advanceAsync(60_000);
    assert.ok(a.kernel.has(p('10.64.1.0/26')), 'back after the network healed');
  }));

test('two peers that dial at the same moment end with one session, whatever the timing', async () => {
  for (let seed = 1; seed <= 1000; seed++) {
    await withNetwork(seed, async (network) => {
      const nodes = createMesh(network, ['a', 'b']);
      const [a, b] = nodes as [Node, Node];
      await a.speaker.start();
      await b.speaker.start();
      const lateMs = network.random() * 12;
      const ups = new Map<string, number>();
      for (const { name, speaker } of nodes) {
        speaker.onPeerChange(({ to }) => to === 'established' && ups.set(name, (ups.get(name) ?? 0) + 1));
      }
      a.speaker.setPeers([peerSpec(b)]);
      a.originate(['10.64.0.0/26']);
      network.timers.set(() => {
        b.speaker.setPeers([peerSpec(a)]);
        b.originate(['10.64.1.0/26']);
      }, lateMs);
      network.timers.advance(2_000);
      for (const node of nodes) {
        const [status] = await node.speaker.peers();
        assert.deepEqual([status?.state, status?.flaps], ['established', 0]);
        assert.deepEqual([node.kernel.size, node.lost], [1, []]);
        assert.equal(ups.get(node.name), 1, 'established once, not twice');
      }
      const before = network.trace.length;
      network.timers.advance(20_000);
      assert.equal(network.trace.length, before, 'quiet afterwards: no second connection, no flap');
    });
  }
});

test('a default route is refused by policy, counted, and shown with its reason', () =>
  withNetwork(6, async (network) => {
    const [a, b] = createMesh(network, ['a', 'b']) as [Node, Node];
    const pools = [{ prefix: p('10.64.0.0/16'), minLength: 26, maxLength: 32 }];
    const onlyPools = {
      rules: [{ name: 'inside pools', match: { prefixes: pools }, action: 'accept' as const }],
      default: 'reject' as const,
    };
    await a.start([peerSpec(b, { import: onlyPools })], []);
    await b.start([peerSpec(a)], ['0.0.0.0/0', '10.64.1.0/26', '10.64.0.0/20', '172.16.0.0/24']);
    await network.timers.advanceAsync(5_000);
    assert.deepEqual([...a.kernel.keys()], ['10.64.1.0/26']);
    const [status] = await a.speaker.peers();
    assert.deepEqual([status?.received, status?.accepted], [4, 1]);
    assert.deepEqual(status?.importRules, [
      { rule: 'default', action: 'reject', count: 3 },
      { rule: 'inside pools', action: 'accept', count: 1 },
    ]);
    const routes = await a.speaker.routes();
    const refused = routes.find(({ prefix }) => prefix === '0.0.0.0/0');
    assert.equal(refused?.paths[0]?.why, 'import policy: default');

    // The policy is widened: no reset, no ROUTE-REFRESH, the refused routes come alive.
    a.speaker.setPeers([peerSpec(b)]);
    await network.timers.advanceAsync(100);
    assert.equal(a.kernel.size, 4);
    assert.equal((await a.speaker.peers())[0]?.flaps, 0);
    // And narrowed again.
    a.speaker.setPeers([peerSpec(b, { import: onlyPools })]);
    await network.timers.advanceAsync(100);
    assert.deepEqual([...a.kernel.keys()], ['10.64.1.0/26']);
  }));

test('changing one peer leaves the sessions of the others alone', () =>
  withNetwork(7, async (network) => {
    const nodes = createMesh(network);
    await startMesh(nodes);
    await network.timers.advanceAsync(10_000);
    const [a, b, c] = nodes as [Node, Node, Node];
    a.speaker.setPeers([peerSpec(b), peerSpec(c, { holdTimeSec: 45 })]);
    await network.timers.advanceAsync(10_000);
    const [toB, toC] = await a.speaker.peers();
    assert.ok((toB?.sinceMs ?? 0) < 10_000, 'b untouched');
    assert.ok((toC?.sinceMs ?? 0) >= 10_000, 'c has a new session');
    assert.equal(toC?.negotiated?.holdTimeSec, 45);
    assert.equal(a.kernel.size, 2);
  }));

test('a removed peer is told so and its routes go at once', () =>
  withNetwork(8, async (network) => {
    const nodes = createMesh(network);
    await startMesh(nodes);
    await network.timers.advanceAsync(10_000);
    const [a, b, c] = nodes as [Node, Node, Node];
    a.speaker.setPeers([peerSpec(c)]);
    await network.timers.advanceAsync(50);
    assert.deepEqual([...a.kernel.keys()], ['10.64.2.0/26']);
    assert.equal(b.kernel.has(p('10.64.0.0/26')), false, 'hard reset: b keeps nothing in spite of graceful restart');
    const status = (await b.speaker.peers()).find(({ name }) => name === 'a');
    assert.match(status?.reason ?? '', /6\/9/);
  }));

test('an eBGP router between two ASes passes routes on with its AS in front, and loops are refused', () =>
  withNetwork(9, async (network) => {
    const node = (name: string, index: number, as: number) =>
      new Node(network, name, { address: `192.0.2.${index}`, as });
    const [a, tor, b] = [node('a', 1, 65001), node('tor', 2, 65100), node('b', 3, 65002)];
    await a.start([peerSpec(tor)], ['10.64.0.0/26']);
    await tor.start([peerSpec(a), peerSpec(b)], []);
    await b.start([peerSpec(tor)], ['10.64.1.0/26']);
    await network.timers.advanceAsync(10_000);
    assert.deepEqual([...b.kernel], [['10.64.0.0/26', ['192.0.2.2']]]);
    const [route] = await b.speaker.routes();
    assert.equal(route?.paths[0]?.asPath, '65100 65001');
  }));

test('equal routes of two peers are used together, and the looking glass says why one is not the best', () =>
  withNetwork(10, async (network) => {
    const nodes = createMesh(network);
    const [a, b, c] = nodes as [Node, Node, Node];
    await startMesh(nodes);
    b.originate(['10.96.0.1/32']);
    c.originate(['10.96.0.1/32']);
    await network.timers.advanceAsync(10_000);
    assert.deepEqual(a.kernel.get(p('10.96.0.1/32')), ['192.0.2.2', '192.0.2.3']);
    const route = (await a.speaker.routes()).find(({ prefix }) => prefix === '10.96.0.1/32');
    assert.deepEqual(
      route?.paths.map(({ peer, best, used }) => ({ peer, best, used })),
      [
        { peer: 'b', best: true, used: true },
        { peer: 'c', best: false, used: true },
      ],
    );
    assert.match(route?.paths[1]?.why ?? '', /lower router id .*RFC 4271 §9.1.2.2 f/);
    c.originate([]);
    await network.timers.advanceAsync(50);
    assert.deepEqual(a.kernel.get(p('10.96.0.1/32')), ['192.0.2.2']);
  }));

test('a connection from an unknown address is closed and leaves no trace in the peers', () =>
  withNetwork(11, async (network) => {
    const [a, b] = createMesh(network, ['a', 'b']) as [Node, Node];
    await a.start([], []);
    await b.start([peerSpec(a)], []);
    await network.timers.advanceAsync(10_000);
    assert.deepEqual(await a.speaker.peers(), []);
    assert.notEqual((await b.speaker.peers())[0]?.state, 'established');
    assert.equal(a.inSync, true, 'no peers configured is in sync');
  }));

test('ten thousand routes pass a slow wire without loss, and the last state wins', () =>
  withNetwork(12, async (network) => {
    const [a, b] = createMesh(network, ['a', 'b']) as [Node, Node];
    const prefixes = Array.from(
      { length: 10_000 },
      (_, i) => `10.${64 + (i >> 14)}.${(i >> 6) & 255}.${(i << 2) & 252}/30`,
    );
    await a.start([peerSpec(b)], prefixes);
    await b.start([peerSpec(a)], []);
    network.timers.advance(1_000);
    a.originate(prefixes.slice(0, 5_000));
    network.timers.advance(5_000);
    assert.equal(b.kernel.size, 5_000);
  }));
