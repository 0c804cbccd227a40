/** Stories of graceful restart (RFC 4724, RFC 8538) between speakers: what stays, and what goes when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '#net';
import { Node, type Network, peerSpec, withNetwork } from './network.ts';

const OLD = parsePrefix('10.64.1.0/26');
const KEPT = parsePrefix('10.64.2.0/26');

/** a (helper) ─── b (restarts), iBGP; b owns OLD and KEPT. */
async function startPair(network: Network, gracefulRestart = true): Promise<[Node, Node]> {
  const a = new Node(network, 'a', { address: '192.0.2.1', as: 64512 });
  const b = new Node(network, 'b', { address: '192.0.2.2', as: 64512 });
  await a.start([peerSpec(b, { gracefulRestart })], ['10.64.0.0/26']);
  await b.start([peerSpec(a, { gracefulRestart })], [OLD, KEPT]);
  await network.timers.advanceAsync(10_000);
  assert.equal(a.kernel.size, 2);
  return [a, b];
}

async function staleAt(node: Node): Promise<number> {
  return (await node.speaker.peers())[0]?.stale ?? 0;
}

test('a killed speaker that returns loses no route; what it does not refresh goes at End-of-RIB', async () => {
  for (let seed = 1; seed <= 50; seed++) {
    await withNetwork(seed, async (network) => {
      const [a, b] = await startPair(network);
      b.kill();
      network.timers.advance(1_000);
      assert.equal(await staleAt(a), 2, 'kept as stale');
      assert.deepEqual(a.lost, []);
      b.reborn(true);
      await b.speaker.start();
      b.speaker.setPeers([peerSpec(a)]);
      network.timers.advance(3_000);
      assert.equal((await a.speaker.peers())[0]?.state, 'established');
      assert.equal(await staleAt(a), 2, 'no End-of-RIB before b knows what it originates');
      assert.deepEqual(a.lost, []);
      b.originate([KEPT]);
      network.timers.advance(3_000);
      assert.deepEqual(a.lost, [OLD]);
      assert.equal(await staleAt(a), 0);
      assert.ok(b.inSync && b.kernel.has(parsePrefix('10.64.0.0/26')));
    });
  }
});

test('a speaker that comes back before the old connection is seen to die replaces it without losing a route', async () => {
  for (let seed = 1; seed <= 50; seed++) {
    await withNetwork(seed, async (network) => {
      const [a, b] = await startPair(network);
      network.cut(b.address); // the reset of the dying connections is lost
      b.kill();
      network.timers.advance(1_000);
      assert.equal((await a.speaker.peers())[0]?.state, 'established');
      network.heal(b.address);
      b.reborn(true);
      await b.start([peerSpec(a)], [OLD, KEPT]);
      network.timers.advance(3_000);
      const [status] = await a.speaker.peers();
      assert.equal(status?.state, 'established');
      assert.equal(status?.flaps, 1);
      assert.deepEqual(a.lost, []);
      assert.equal(status?.stale, 0);
    });
  }
});

test('a speaker that does not return within its restart time is forgotten', () =>
  withNetwork(1, async (network) => {
    const [a, b] = await startPair(network);
    b.kill();
    network.timers.advance(119_000);
    assert.equal(a.kernel.size, 2);
    network.timers.advance(2_000);
    assert.equal(a.kernel.size, 0);
  }));

test('a speaker that returns without its forwarding state (F bit clear) is forgotten at once', () =>
  withNetwork(1, async (network) => {
    const [a, b] = await startPair(network);
    b.kill();
    network.timers.advance(1_000);
    b.reborn(false);
    await b.speaker.start();
    b.speaker.setPeers([peerSpec(a)]);
    network.timers.advance(3_000);
    assert.equal((await a.speaker.peers())[0]?.state, 'established');
    assert.equal(a.kernel.size, 0);
  }));

test('a second death before End-of-RIB drops what was stale already and keeps what was fresh', () =>
  withNetwork(1, async (network) => {
    const [a, b] = await startPair(network);
    b.kill();
    network.timers.advance(1_000);
    b.reborn(true);
    // A second peer that never comes up holds back b's End-of-RIB.
    const absent = new Node(network, 'absent', { address: '192.0.2.9', as: 64512 });
    await b.start([peerSpec(a), peerSpec(absent)], [KEPT]);
    network.timers.advance(3_000);
    assert.equal(await staleAt(a), 1);
    b.kill();
    network.timers.advance(1_000);
    assert.deepEqual([...a.kernel.keys()], [KEPT]);
  }));

test('without graceful restart a killed speaker is forgotten at once', () =>
  withNetwork(1, async (network) => {
    const [a, b] = await startPair(network, false);
    b.kill();
    network.timers.advance(100);
    assert.equal(a.kernel.size, 0);
  }));

test('stop for restart says nothing and is forgiven, stop for shutdown withdraws at once', async () => {
  await withNetwork(1, async (network) => {
    const [a, b] = await startPair(network);
    await b.speaker.stop('restart');
    await network.timers.advanceAsync(5_000);
    assert.equal(a.kernel.size, 2);
    assert.equal(await staleAt(a), 2);
    assert.equal(b.lost.length, 0, 'the stopping node keeps its kernel routes');
    assert.ok(!network.trace.some((line) => line.includes('NOTIFICATION')));
  });
  await withNetwork(1, async (network) => {
    const [a, b] = await startPair(network);
    void b.speaker.stop('shutdown');
    await network.timers.advanceAsync(5_000);
    assert.equal(a.kernel.size, 0);
    const [status] = await a.speaker.peers();
    assert.equal(status?.stale, 0);
    assert.equal(b.lost.length, 0, 'the stopping node keeps its kernel routes');
  });
});

test('a frozen speaker keeps its routes for the restart time after the hold time (RFC 8538)', () =>
  withNetwork(1, async (network) => {
    const [a, b] = await startPair(network);
    network.cut(b.address);
    network.timers.advance(100_000); // hold time 90 s is over
    assert.equal(await staleAt(a), 2);
    assert.deepEqual(a.lost, []);
    network.heal(b.address);
    network.timers.advance(60_000);
    assert.equal(await staleAt(a), 0);
    assert.deepEqual(a.lost, []);
    assert.equal((await a.speaker.peers())[0]?.state, 'established');
  }));

test('both speakers killed at once find each other again without losing a route', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    await withNetwork(seed, async (network) => {
      const [a, b] = await startPair(network);
      a.kill();
      b.kill();
      network.timers.advance(500);
      a.reborn(true);
      b.reborn(true);
      await a.start([peerSpec(b)], ['10.64.0.0/26']);
      await b.start([peerSpec(a)], [OLD, KEPT]);
      network.timers.advance(8_000);
      assert.ok(a.inSync && b.inSync, 'neither waits for the other: both R bits are set');
      assert.deepEqual([a.lost, b.lost], [[], []]);
      assert.equal((await a.speaker.peers())[0]?.stale, 0);
    });
  }
});
