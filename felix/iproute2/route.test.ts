import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ipFromBigInt, makePrefix, parseIp, parsePrefix } from '#net';
import { FelixError } from '../errors.ts';
import { parseIpJson } from './json.ts';
import { decodeLinks } from './link.ts';
import { decodeHint } from './monitor.ts';
import { decodeNeighbours } from './neigh.ts';
import {
  addRouteLine,
  decodeMonitorRoute,
  decodeRoutes,
  deleteRouteLine,
  deviceName,
  type Route,
  replaceRouteLine,
  sameRoute,
} from './route.ts';

function fixture(name: string): unknown {
  return parseIpJson(readFileSync(new URL(`../../test/fixtures/ip-json/${name}.json`, import.meta.url), 'utf8'));
}

const decoded = [...decodeRoutes(fixture('routes-4'), 4), ...decodeRoutes(fixture('routes-6'), 6)];

/** What `ip -j -N -d route` printed (iproute2 6.1), and the line that would make it. */
const lines: Readonly<Record<string, string>> = {
  '0.0.0.0/0': 'route add 0.0.0.0/0 via 172.18.0.1 dev up0 proto 3 metric 0',
  '10.64.0.0/26': 'route add blackhole 10.64.0.0/26 proto 84 metric 8400',
  '10.64.0.5/32': 'route add 10.64.0.5/32 dev mx0123456789a scope link proto 84 metric 8400 src 172.18.0.2',
  '10.64.1.0/26': 'route add 10.64.1.0/26 via 172.18.0.3 dev up0 proto 84 metric 8400 src 172.18.0.2',
  '10.64.2.0/26':
    'route add 10.64.2.0/26 proto 84 metric 8400 nexthop via 172.18.0.3 dev up0 nexthop via 172.19.0.3 dev up1',
  '10.64.3.0/26': 'route add 10.64.3.0/26 via inet6 fd18::3 dev up0 proto 84 metric 8400',
  '172.18.0.0/24': 'route add 172.18.0.0/24 dev up0 scope link proto 2 metric 0 src 172.18.0.2',
  '172.19.0.0/24': 'route add 172.19.0.0/24 dev up1 scope link proto 2 metric 0 src 172.19.0.2',
  '192.0.2.0/24': 'route add unreachable 192.0.2.0/24 proto 3 metric 0',
  '192.0.3.0/24': 'route add prohibit 192.0.3.0/24 proto 3 metric 0',
  '198.51.100.0/24': 'route add 198.51.100.0/24 via 192.0.2.1 dev up1 onlink proto 3 metric 0',
  '203.0.113.0/24': 'route add 203.0.113.0/24 via 172.18.0.254 dev up0 proto 4 metric 20',
  '::/0': 'route add ::/0 via fd18::1 dev up0 proto 3 metric 1024',
  'fd64::5/128': 'route add fd64::5/128 dev mx0123456789a proto 84 metric 8400 src fd18::2',
  'fd64::/122': 'route add blackhole fd64::/122 proto 84 metric 8400',
  'fd64:1::/122': 'route add fd64:1::/122 proto 84 metric 8400 nexthop via fd18::3 dev up0 nexthop via fd18::4 dev up0',
};

for (const [prefix, line] of Object.entries(lines)) {
  test(`a recorded route to ${prefix} is read and would be written as it was`, () => {
    const route = decoded.find((candidate) => candidate.prefix === prefix);
    assert.ok(route);
    assert.equal(addRouteLine(route), line);
    assert.equal(replaceRouteLine(route), line.replace('add', 'replace'));
  });
}

test('a route whose only link has no carrier is read as dead, one with another link is not', () => {
  assert.equal(decoded.find((route) => route.prefix === '172.19.0.0/24')?.dead, true);
  assert.equal(decoded.find((route) => route.prefix === '10.64.2.0/26')?.dead, false);
});

test('a route is deleted by what makes it ours, whatever it leads to', () => {
  const route = decoded.find((candidate) => candidate.prefix === '10.64.2.0/26');
  assert.ok(route);
  assert.equal(deleteRouteLine(route), 'route del 10.64.2.0/26 proto 84 metric 8400');
});

const arbitraryHop = fc.record({
  gateway: fc.option(
    fc.nat(0xffffffff).map((n) => ipFromBigInt(4, BigInt(n))),
    { nil: undefined },
  ),
  device: fc.constantFrom('up0', 'up1', 'mx0123456789a'),
  onlink: fc.boolean(),
});
const arbitraryRoute: fc.Arbitrary<Route> = fc
  .record({
    prefix: fc
      .tuple(fc.nat(0xffffffff), fc.integer({ min: 0, max: 32 }))
      .map(([n, length]) => makePrefix(ipFromBigInt(4, BigInt(n)), length)),
    blackhole: fc.boolean(),
    metric: fc.nat(10_000),
    link: fc.boolean(),
    source: fc.constantFrom(undefined, parseIp('172.18.0.2')),
    nextHops: fc.array(arbitraryHop, { minLength: 1, maxLength: 4 }),
  })
  .map(({ blackhole, ...rest }) => ({
    ...rest,
    protocol: 84,
    dead: false,
    ...(blackhole
      ? { type: 'blackhole' as const, link: false, source: undefined, nextHops: [] }
      : { type: 'unicast' as const }),
  }));

test('a batch line reads back as the route it was made from, as a monitor line does', () => {
  fc.assert(
    fc.property(arbitraryRoute, (route) => {
      const read = decodeMonitorRoute(addRouteLine(route).slice('route add '.length));
      assert.ok(read !== undefined && sameRoute(read, route));
    }),
  );
});

test('the order of equal-cost next hops is no difference', () => {
  fc.assert(
    fc.property(arbitraryRoute, (route) => {
      assert.ok(sameRoute(route, { ...route, nextHops: route.nextHops.toReversed() }));
    }),
  );
});

test('a device name that could break a batch line is refused', () => {
  for (const name of ['', 'a b', 'eth0\nroute', "eth'", 'sixteen-letters-x', '-x']) {
    assert.throws(() => deviceName(name), FelixError, JSON.stringify(name));
  }
});

test('links are read with addresses, peers and MTU', () => {
  const links = decodeLinks(fixture('addr'));
  assert.deepEqual(
    links.map((link) => link.name),
    ['lo', 'up0', 'up1', 'mx0123456789a'],
  );
  const up0 = links[1];
  assert.ok(up0);
  assert.equal(up0.mtu, 1500);
  assert.deepEqual(
    up0.addresses.filter((address) => !address.linkLocal),
    [
      { ip: '172.18.0.2', length: 24, linkLocal: false },
      { ip: 'fd18::2', length: 64, linkLocal: false },
    ],
  );
  assert.equal(links[3]?.mac, 'ee:ee:ee:ee:ee:ee');
  assert.equal(typeof links[3]?.peerIndex, 'number');
});

test('neighbours are read with their state', () => {
  assert.deepEqual(decodeNeighbours(fixture('neigh')), [
    { ip: '10.64.0.5', device: 'mx0123456789a', mac: '0e:01:02:03:04:05', permanent: true },
    { ip: '172.18.0.9', device: 'up0', mac: '0e:01:02:03:04:06', permanent: false },
  ]);
});

test('what is not the expected JSON reads as nothing, a dump that never began too', () => {
  assert.deepEqual(decodeRoutes({}, 4), []);
  assert.deepEqual(decodeRoutes([1, null, {}, { dst: 'nonsense', dev: 'x' }], 4), []);
  assert.deepEqual(parseIpJson('['), []);
  assert.deepEqual(parseIpJson(' \n'), []);
});

/** Lines as `ip -oneline -ts monitor` (6.1) printed them. */
const hints: readonly (readonly [string, object | undefined])[] = [
  [
    '3: v0@v1: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group default \\    link/ether d2:97',
    { kind: 'link', deleted: false, name: 'v0', index: 3, up: false },
  ],
  [
    '2: v1@v0: <NO-CARRIER,BROADCAST,MULTICAST,UP,M-DOWN> mtu 1500 qdisc noqueue state',
    { kind: 'link', deleted: false, name: 'v1', index: 2, up: true },
  ],
  [
    'Deleted 4: mxaaaaaaaaaaa@if2: <BROADCAST,MULTICAST> mtu 1500',
    { kind: 'link', deleted: true, name: 'mxaaaaaaaaaaa', index: 4, up: false },
  ],
  ['Deleted 3: v0    inet6 fd00::1/64 scope global nodad \\       valid_lft forever', { kind: 'address', name: 'v0' }],
  ['broadcast 10.0.0.255 dev v0 table local proto kernel scope link src 10.0.0.1 ', undefined],
  ['Deleted local fd00::1 dev v0 table local proto kernel metric 0 pref medium', undefined],
];

for (const [line, hint] of hints) {
  test(`monitor: ${line.slice(0, 50)}`, () => {
    assert.deepEqual(decodeHint(`[2026-11-20T13:17:58.226645] ${line}`), hint);
  });
}

test('monitor: a multipath route in one line, with and without Deleted', () => {
  const line =
    'fd50::/64 proto 84 src fd00::1 metric 8400 pref medium\\\tnexthop via fd00::2 dev v0 weight 1 \\\tnexthop via fd00::3 dev v0 weight 1 ';
  const hint = decodeHint(`[2026-11-20T13:17:58.226645] Deleted ${line}`);
  assert.ok(hint?.kind === 'route');
  assert.equal(hint.deleted, true);
  assert.equal(hint.route.prefix, parsePrefix('fd50::/64'));
  assert.deepEqual(
    hint.route.nextHops.map((hop) => hop.gateway),
    ['fd00::2', 'fd00::3'],
  );
  assert.equal(decodeHint(line)?.kind, 'route');
});
