/** Stories of peers that are more than a mesh: reflectors, ranges, limits, refreshes, policies that change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSpec, PeerStatus, RouteView } from '#bgp';
import { parseIp, parsePrefix } from '#net';
import { type Network, Node, peerSpec, withNetwork } from './network.ts';

const P1 = parsePrefix('10.64.1.0/26');
const P2 = parsePrefix('10.64.2.0/26');

async function statusOf(node: Node, name: string): Promise<PeerStatus> {
  const found = (await node.speaker.peers()).find((peer) => peer.name === name);
  assert.ok(found !== undefined, `${node.name} has no peer ${name}`);
  return found;
}

async function routeOf(node: Node, prefix: string): Promise<RouteView | undefined> {
  return (await node.speaker.routes()).find((route) => route.prefix === prefix);
}

/** left ─── right, with whatever each wants of the other. */
async function startPair(
  network: Network,
  { as = 64512, left = {}, right = {} }: { as?: number; left?: Partial<PeerSpec>; right?: Partial<PeerSpec> } = {},
): Promise<[Node, Node]> {
  const a = new Node(network, 'left', { address: '192.0.2.1', as: 64512 });
  const b = new Node(network, 'right', { address: '192.0.2.2', as });
  await a.start([peerSpec(b, left)], []);
  await b.start([peerSpec(a, right)], [P1, P2]);
  await network.timers.advanceAsync(10_000);
  return [a, b];
}

test('a reflector tells its clients what clients and others told it, and others what clients told it', () =>
  withNetwork(1, async (network) => {
    const node = (name: string, last: number) => new Node(network, name, { address: `192.0.2.${last}`, as: 64512 });
    const [rr, c1, c2, n1, n2] = [node('rr', 1), node('c1', 2), node('c2', 3), node('n1', 4), node('n2', 5)];
    const client = { routeReflectorClient: true, nextHopSelf: { 4: rr.address } };
    await rr.start([peerSpec(c1, client), peerSpec(c2, client), peerSpec(n1), peerSpec(n2)], []);
    for (const [index, other] of [c1, c2, n1, n2].entries())
      await other.start([peerSpec(rr)], [`10.64.${index + 1}.0/26`]);
    await network.timers.advanceAsync(10_000);
    const known = (other: Node): string => [...other.kernel.keys()].sort().join(' ');
    assert.equal(known(c1), '10.64.2.0/26 10.64.3.0/26 10.64.4.0/26');
    assert.equal(known(c2), '10.64.1.0/26 10.64.3.0/26 10.64.4.0/26');
    assert.equal(known(n1), '10.64.1.0/26 10.64.2.0/26', 'not what the other non-client told');
    assert.deepEqual(c1.kernel.get(P2), [c2.address], 'the next hop is the node that has it, not the reflector');
    c2.kill();
    await network.timers.advanceAsync(130_000);
    assert.equal(known(c1), '10.64.3.0/26 10.64.4.0/26');
  }));

test('two reflectors of one cluster refuse what the other has reflected', () =>
  withNetwork(2, async (network) => {
    const node = (name: string, last: number) => new Node(network, name, { address: `192.0.2.${last}`, as: 64512 });
    const clusterId = parseIp('192.0.2.100');
    const [r1, r2, c1] = [node('r1', 1), node('r2', 2), node('c1', 3)];
    const client = { routeReflectorClient: true };
    for (const reflector of [r1, r2]) reflector.reborn(false, { clusterId });
    await r1.start([peerSpec(r2), peerSpec(c1, client)], []);
    await r2.start([peerSpec(r1), peerSpec(c1, client)], []);
    await c1.start([peerSpec(r1), peerSpec(r2)], [P1]);
    await network.timers.advanceAsync(10_000);
    const route = await routeOf(r1, P1);
    assert.ok(route?.paths.some(({ peer, best }) => peer === 'c1' && best));
    assert.ok(route?.paths.some(({ peer, why }) => peer === 'r2' && /own cluster 192\.0\.2\.100/.test(why)));
  }));

test('soft reset in: the peer repeats everything between markers and nothing is lost', () =>
  withNetwork(3, async (network) => {
    const [a] = await startPair(network);
    const before = network.trace.length;
    assert.ok(await a.speaker.reset('right', 'soft-in'));
    await network.timers.advanceAsync(1_000);
    const said = network.trace.slice(before).filter((line) => /ROUTE-REFRESH|UPDATE/.test(line));
    const kinds = said.map((line) => line.replace(/^(\S+)->>\S+ \S+ /, '$1 '));
    assert.deepEqual(kinds.slice(0, 2), ['192.0.2.1 ROUTE-REFRESH', '192.0.2.1 ROUTE-REFRESH'], 'one per family');
    assert.equal(kinds.filter((kind) => kind === '192.0.2.2 ROUTE-REFRESH').length, 4, 'begin and end per family');
    assert.ok(kinds.includes('192.0.2.2 UPDATE'));
    assert.deepEqual([a.lost, a.kernel.size, (await statusOf(a, 'right')).flaps], [[], 2, 0]);
    assert.equal(await a.speaker.reset('nobody', 'soft-in'), false);
  }));

test('soft reset out tells the peer again; a hard reset starts the session anew', () =>
  withNetwork(4, async (network) => {
    const [a, b] = await startPair(network);
    const before = network.trace.length;
    await b.speaker.reset('left', 'soft-out');
    await network.timers.advanceAsync(1_000);
    assert.ok(network.trace.slice(before).some((line) => /192\.0\.2\.2->>.* UPDATE/.test(line)));
    assert.equal((await statusOf(a, 'right')).flaps, 0);
    await b.speaker.reset('left', 'hard');
    await network.timers.advanceAsync(10_000);
    const status = await statusOf(a, 'right');
    assert.deepEqual([status.flaps, status.state, a.kernel.size], [1, 'established', 2]);
  }));

test('too many prefixes: warned, then cut off for the time set, with Cease 6/1; then tried again', () =>
  withNetwork(5, async (network) => {
    const limit = { received: 3, warnPercent: 60, action: 'restart' as const, restartSec: 60 };
    const [a, b] = await startPair(network, { left: { prefixLimit: limit, gracefulRestart: false } });
    assert.deepEqual((await statusOf(a, 'right')).prefixLimit, { ...limit, state: 'warning' });
    b.originate(['10.64.1.0/26', '10.64.2.0/26', '10.64.3.0/26', '10.64.4.0/26']);
    await network.timers.advanceAsync(1_000);
    const cut = await statusOf(a, 'right');
    assert.deepEqual([cut.state, a.kernel.size], ['idle', 0]);
    assert.match(cut.reason, /more than 3 prefixes received, stopped for 60 s/);
    assert.ok(network.trace.some((line) => /192\.0\.2\.1->>192\.0\.2\.2: \S+ NOTIFICATION 6\/1/.test(line)));
    b.originate(['10.64.1.0/26']);
    await network.timers.advanceAsync(50_000);
    assert.equal((await statusOf(a, 'right')).state, 'idle', 'nor is the peer let in');
    await network.timers.advanceAsync(80_000);
    assert.deepEqual([(await statusOf(a, 'right')).state, a.kernel.size], ['established', 1]);
  }));

test('a limit of accepted prefixes that shuts down stays down, graceful restart or not, until cleared', () =>
  withNetwork(6, async (network) => {
    const limit = { accepted: 1, action: 'shutdown' as const };
    const [a, b] = await startPair(network, { left: { prefixLimit: limit } });
    await network.timers.advanceAsync(600_000);
    const status = await statusOf(a, 'right');
    assert.deepEqual([status.state, status.stale, a.kernel.size], ['idle', 0, 0]);
    assert.match(status.reason, /until cleared/);
    b.originate(['10.64.1.0/26']);
    await a.speaker.reset('right', 'hard');
    await network.timers.advanceAsync(120_000);
    assert.deepEqual([(await statusOf(a, 'right')).state, a.kernel.size], ['established', 1]);
  }));

test('a higher limit lets a peer that was cut off try again, a lower one ends a session that is up', () =>
  withNetwork(6, async (network) => {
    const limit = (received: number) => ({ prefixLimit: { received, action: 'shutdown' as const } });
    const [a, b] = await startPair(network, { left: limit(1) });
    assert.equal((await statusOf(a, 'right')).state, 'idle');
    a.speaker.setPeers([peerSpec(b, limit(10))]);
    await network.timers.advanceAsync(60_000);
    assert.deepEqual([(await statusOf(a, 'right')).state, a.kernel.size], ['established', 2]);
    a.speaker.setPeers([peerSpec(b, limit(1))]);
    await network.timers.advanceAsync(1_000);
    assert.deepEqual([(await statusOf(a, 'right')).state, a.kernel.size], ['idle', 0]);
  }));

test('a limit that only warns keeps session and routes', () =>
  withNetwork(7, async (network) => {
    const [a] = await startPair(network, { left: { prefixLimit: { received: 1, action: 'warn' } } });
    const status = await statusOf(a, 'right');
    assert.deepEqual([status.state, status.prefixLimit?.state, a.kernel.size], ['established', 'exceeded', 2]);
  }));

test('a range makes peers of those who come, follows its own changes, and forgets who is gone', () =>
  withNetwork(8, async (network) => {
    const node = (name: string, last: number) => new Node(network, name, { address: `192.0.2.${last}`, as: 64512 });
    const [hub, x, y, far] = [node('hub', 1), node('x', 2), node('y', 3), node('far', 200)];
    const any = { ...peerSpec(hub), name: 'any', range: parsePrefix('192.0.2.0/26'), gracefulRestart: false };
    await hub.start([any], ['10.64.0.0/26']);
    for (const other of [x, y, far]) await other.start([peerSpec(hub)], [`10.64.${other === x ? 1 : 2}.0/26`]);
    await network.timers.advanceAsync(10_000);
    const names = async (): Promise<string> => (await hub.speaker.peers()).map(({ name }) => name).join(' ');
    assert.equal(await names(), 'any/192.0.2.2 any/192.0.2.3 any');
    assert.deepEqual([hub.kernel.size, far.kernel.size], [2, 0]);
    const rules = [{ name: 'no x', match: { nextHops: [x.address] }, action: 'reject' as const }];
    hub.speaker.setPeers([{ ...any, import: { rules, default: 'accept' } }]);
    await network.timers.advanceAsync(1_000);
    const { flaps, admittedBy, accepted } = await statusOf(hub, 'any/192.0.2.2');
    assert.deepEqual([flaps, admittedBy, accepted, hub.kernel.size], [0, 'any', 0, 1]);
    x.kill();
    await network.timers.advanceAsync(20_000);
    assert.equal(await names(), 'any/192.0.2.3 any');
    hub.speaker.setPeers([]);
    await network.timers.advanceAsync(1_000);
    assert.equal(await names(), '');
    assert.notEqual((await statusOf(y, 'hub')).state, 'established');
  }));

test('a full range and a source that knocks too often are turned away', () =>
  withNetwork(9, async (network) => {
    const hub = new Node(network, 'hub', { address: '192.0.2.1', as: 64512 });
    const x = new Node(network, 'x', { address: '192.0.2.2', as: 64512 });
    const any = { ...peerSpec(hub), name: 'any', range: parsePrefix('192.0.2.0/24'), rangeLimit: 0 };
    await hub.start([any], []);
    await x.start([peerSpec(hub)], []);
    await network.timers.advanceAsync(10_000);
    assert.equal((await hub.speaker.peers()).length, 1);
    let closed = 0;
    for (let i = 0; i < 40; i++) {
      network.transport(parseIp('192.0.2.9')).dial(
        { address: hub.address, port: 179, localAddress: undefined },
        {
          connected: (wire) => wire.open({ data() {}, drained() {}, closed: () => void (closed += 1) }),
          failed() {},
        },
      );
    }
    hub.speaker.setPeers([{ ...any, rangeLimit: 1 }]);
    await network.timers.advanceAsync(2_000);
    assert.ok(closed >= 15, `${closed} of 40 were turned away`);
  }));

test('what a transport cannot do is refused with a reason, and the session comes when it is no longer asked for', () =>
  withNetwork(10, async (network) => {
    const [a, b] = await startPair(network, { left: { password: 'secret' } });
    const status = await statusOf(a, 'right');
    assert.deepEqual([status.state, status.security], ['idle', ['md5']]);
    assert.match(status.reason, /^refused: .*no socket options/);
    assert.doesNotMatch(JSON.stringify(await a.speaker.peers()), /secret/);
    a.speaker.setPeers([peerSpec(b)]);
    await network.timers.advanceAsync(10_000);
    assert.equal((await statusOf(a, 'right')).state, 'established');
  }));

test('a bad policy is refused by name and the last valid one stays; a new peer with one gets nothing', () =>
  withNetwork(11, async (network) => {
    const [a, b] = await startPair(network);
    const bad = {
      rules: [{ name: 'r', match: {}, action: 'accept' as const, set: { med: -1 } }],
      default: 'reject' as const,
    };
    a.speaker.setPeers([peerSpec(b, { import: bad })]);
    await network.timers.advanceAsync(1_000);
    const status = await statusOf(a, 'right');
    assert.match(status.policyFault ?? '', /import policy: rule r: med -1/);
    assert.deepEqual([status.state, status.flaps, a.kernel.size], ['established', 0, 2]);
    a.speaker.setPeers([peerSpec(b, { name: 'again', import: bad })]);
    await network.timers.advanceAsync(90_000);
    assert.deepEqual([(await statusOf(a, 'again')).accepted, a.kernel.size], [0, 0]);
  }));

test('policies that change apply without a reset: preference in, MED and communities out', () =>
  withNetwork(12, async (network) => {
    const [a, b] = await startPair(network, { as: 65001 });
    const rule = (set: object) => ({
      rules: [{ name: 'r', match: {}, action: 'accept' as const, set }],
      default: 'reject' as const,
    });
    a.speaker.setPeers([peerSpec(b, { import: rule({ localPref: 250 }) })]);
    b.speaker.setPeers([peerSpec(a, { export: rule({ med: 30, addCommunities: [42], prepend: [65001] }) })]);
    await network.timers.advanceAsync(1_000);
    const path = (await routeOf(a, P1))?.paths[0];
    assert.deepEqual([path?.localPref, path?.med, path?.communities, path?.asPath], [250, 30, [42], '65001 65001']);
    b.speaker.setPeers([peerSpec(a, { gracefulShutdown: true })]);
    await network.timers.advanceAsync(1_000);
    assert.equal((await routeOf(a, P1))?.paths[0]?.localPref, 0, 'RFC 8326: the policy does not lift it');
    assert.equal((await statusOf(a, 'right')).flaps, 0);
  }));

test('a peer that is known gone loses what graceful restart kept of it', () =>
  withNetwork(13, async (network) => {
    const [a, b] = await startPair(network);
    b.kill();
    await network.timers.advanceAsync(1_000);
    assert.deepEqual([a.kernel.size, (await statusOf(a, 'right')).stale], [2, 2]);
    a.speaker.peerGone('right');
    await network.timers.advanceAsync(100);
    assert.deepEqual([a.kernel.size, (await statusOf(a, 'right')).stale], [0, 0]);
  }));

test('another AS without policies tells nothing and is told nothing where that is asked for (RFC 8212)', () =>
  withNetwork(14, async (network) => {
    const a = new Node(network, 'a', { address: '192.0.2.1', as: 64512 });
    const b = new Node(network, 'b', { address: '192.0.2.2', as: 65001 });
    a.reborn(false, { requireEbgpPolicy: true });
    await a.start([peerSpec(b)], ['10.64.0.0/26']);
    await b.start([peerSpec(a)], [P1]);
    await network.timers.advanceAsync(10_000);
    assert.deepEqual([a.kernel.size, b.kernel.size], [0, 0]);
    const { received, accepted, advertised, state } = await statusOf(a, 'b');
    assert.deepEqual([state, received, accepted, advertised], ['established', 1, 0, 0]);
    const any = [{ name: 'all', match: {}, action: 'accept' as const }];
    a.speaker.setPeers([peerSpec(b, { import: { rules: any, default: 'reject' } })]);
    await network.timers.advanceAsync(1_000);
    assert.deepEqual([a.kernel.size, b.kernel.size], [1, 0]);
  }));
