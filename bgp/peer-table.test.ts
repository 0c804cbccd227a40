import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import { admittedPeer, checkPeers, keysOf, matchPeer, matchRange } from './peer-table.ts';
import { ACCEPT_ALL } from './policy/policy.ts';
import type { PeerSpec } from './speaker-types.ts';

function spec(name: string, changes: Partial<PeerSpec> = {}): PeerSpec {
  return {
    name,
    address: parseIp('192.0.2.1'),
    port: 179,
    as: 65001,
    passive: false,
    holdTimeSec: 90,
    connectRetrySec: 5,
    families: [4],
    nextHopSelf: {},
    gracefulRestart: true,
    import: ACCEPT_ALL,
    export: ACCEPT_ALL,
    label: 'configured',
    ...changes,
  };
}

const remote = parseIp('192.0.2.1');
const local = parseIp('192.0.2.9');
const other = parseIp('192.0.2.10');
const wide = spec('wide', { range: parsePrefix('192.0.0.0/16') });
const narrow = spec('narrow', { range: parsePrefix('192.0.2.0/24') });

test('a connection is told apart by remote address, local address and device', () => {
  const any = spec('any');
  const toLocal = spec('local', { localAddress: local });
  const onDevice = spec('device', { localAddress: local, interface: 'eth1' });
  const peers = [any, toLocal, onDevice];
  const name = (at: Parameters<typeof matchPeer>[1]): string | undefined => matchPeer(peers, at)?.name;
  assert.equal(name({ remote, local: other }), 'any');
  assert.equal(name({ remote, local, device: 'eth0' }), 'local');
  assert.equal(name({ remote, local, device: 'eth1' }), 'device');
  assert.equal(
    matchPeer([toLocal], { remote, local: other }),
    undefined,
    'it came to an address it has no business with',
  );
  assert.equal(name({ remote: other, local }), undefined);
});

test('the narrowest range admits, and none outside', () => {
  assert.equal(matchRange([wide, narrow], { remote, local })?.name, 'narrow');
  assert.equal(matchRange([wide, narrow], { remote: parseIp('192.0.9.1'), local })?.name, 'wide');
  assert.equal(matchRange([wide, narrow], { remote: parseIp('198.51.100.1'), local }), undefined);
  assert.equal(matchRange([narrow], { remote: parseIp('2001:db8::1'), local: undefined }), undefined);
  const peer = admittedPeer(narrow, remote);
  assert.deepEqual([peer.name, peer.address, peer.passive, peer.range], ['narrow/192.0.2.1', remote, true, undefined]);
});

const refusals: readonly [name: string, specs: readonly PeerSpec[], refused: string, why: RegExp | undefined][] = [
  [
    'no key inside a range that has one',
    [spec('p'), spec('r', { ...narrow, name: 'r', password: 'k' })],
    'p',
    /no password inside range 192\.0\.2\.0\/24/,
  ],
  ['a key of its own inside it', [spec('p', { password: 'own' }), { ...narrow, password: 'k' }], 'p', undefined],
  ['a keyless range inside a keyed one', [{ ...wide, password: 'k' }, narrow], 'narrow', /no password inside range/],
  ['a keyed range inside a keyless one', [wide, { ...narrow, password: 'k' }], 'wide', undefined],
  ['an empty key', [spec('p', { password: '' })], 'p', /0 bytes long/],
  ['a key too long', [spec('p', { password: 'k'.repeat(81) })], 'p', /81 bytes long/],
  ['no hop at all', [spec('p', { ttlSecurity: 0 })], 'p', /ttl security of 0 hops/],
  ['two words about the TTL', [spec('p', { ttlSecurity: 1, ttl: 3 })], 'p', /exclude each other/],
  ['a TTL of nothing', [spec('p', { ttl: 256 })], 'p', /ttl 256/],
];
for (const [name, specs, refused, why] of refusals) {
  test(`configuration: ${name} is ${why === undefined ? 'fine' : 'refused'}`, () => {
    const reason = checkPeers(specs).refused.get(refused);
    assert.match(reason ?? 'fine', why ?? /^fine$/);
    assert.doesNotMatch(reason ?? '', /kkk/);
  });
}

test('two peers for the same connections: the second is not configured, one with another local address is', () => {
  const { peers, taken } = checkPeers([spec('a'), spec('b'), spec('c', { localAddress: local })]);
  assert.deepEqual([[...peers.keys()], taken.map(({ owner }) => owner)], [['a', 'c'], ['a']]);
});

test('the listeners hold the keys of peers and of ranges', () => {
  const keys = keysOf([spec('a', { password: 'x' }), { ...narrow, password: 'y' }, wide]);
  assert.deepEqual(
    [...keys],
    [
      ['192.0.2.1/32', 'x'],
      ['192.0.2.0/24', 'y'],
    ],
  );
});
