import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import type { NextHop, Route } from '../iproute2/route.ts';
import { NextHopResolver, sourceFor } from './next-hop.ts';

function route(prefix: string, over: Partial<Route> & { via?: string; dev?: string; onlink?: boolean } = {}): Route {
  const { via, dev, onlink, ...rest } = over;
  const hop: NextHop = {
    gateway: via === undefined ? undefined : parseIp(via),
    device: dev ?? 'up0',
    onlink: onlink ?? false,
  };
  const base = { type: 'unicast', protocol: 2, metric: 0, link: false, source: undefined, dead: false } as const;
  return { prefix: parsePrefix(prefix), ...base, nextHops: [hop], ...rest };
}

const connected = route('172.18.0.0/24', { link: true });
const second = route('172.19.0.0/24', { link: true, dev: 'up1' });
const byDefault = route('0.0.0.0/0', { via: '172.18.0.1' });

const cases: readonly {
  readonly name: string;
  readonly routes: readonly Route[];
  readonly nextHops: readonly string[];
  readonly hops?: readonly string[];
  readonly reason?: RegExp;
}[] = [
  {
    name: 'a connected one is its own gateway',
    routes: [connected, byDefault],
    nextHops: ['172.18.0.9'],
    hops: ['172.18.0.9%up0'],
  },
  {
    name: 'one behind the default route takes its gateway',
    routes: [connected, byDefault],
    nextHops: ['203.0.113.1'],
    hops: ['172.18.0.1%up0'],
  },
  {
    name: 'the longest covering route decides',
    routes: [connected, byDefault, route('203.0.113.0/24', { via: '172.18.0.7' })],
    nextHops: ['203.0.113.1'],
    hops: ['172.18.0.7%up0'],
  },
  {
    name: 'of equal prefixes the lower metric decides, whatever the order',
    routes: [route('0.0.0.0/0', { via: '172.18.0.2', metric: 200 }), connected, byDefault],
    nextHops: ['203.0.113.1'],
    hops: ['172.18.0.1%up0'],
  },
  {
    name: 'of equal prefixes a live one decides before a lower metric',
    routes: [route('0.0.0.0/0', { via: '172.18.0.2', metric: 200 }), connected, { ...byDefault, dead: true }],
    nextHops: ['203.0.113.1'],
    hops: ['172.18.0.2%up0'],
  },
  {
    name: 'onlink is carried over',
    routes: [route('0.0.0.0/0', { via: '192.0.2.1', onlink: true })],
    nextHops: ['203.0.113.1'],
    hops: ['192.0.2.1%up0!'],
  },
  {
    name: 'several are several hops',
    routes: [connected, second],
    nextHops: ['172.18.0.9', '172.19.0.9'],
    hops: ['172.18.0.9%up0', '172.19.0.9%up1'],
  },
  {
    name: 'two behind one gateway are one hop',
    routes: [connected, byDefault],
    nextHops: ['203.0.113.1', '203.0.113.2'],
    hops: ['172.18.0.1%up0'],
  },
  {
    name: 'one that resolves is enough',
    routes: [connected],
    nextHops: ['172.18.0.9', '203.0.113.2'],
    hops: ['172.18.0.9%up0'],
  },
  {
    name: 'one without carrier yields to a live one',
    routes: [connected, { ...second, dead: true }],
    nextHops: ['172.18.0.9', '172.19.0.9'],
    hops: ['172.18.0.9%up0'],
  },
  {
    name: 'one without carrier is used where it is the only one',
    routes: [{ ...connected, dead: true }],
    nextHops: ['172.18.0.9'],
    hops: ['172.18.0.9%up0'],
  },
  {
    name: 'one behind a multipath route takes all its gateways',
    routes: [
      {
        ...byDefault,
        nextHops: [...byDefault.nextHops, { gateway: parseIp('172.19.0.1'), device: 'up1', onlink: false }],
      },
    ],
    nextHops: ['203.0.113.1'],
    hops: ['172.18.0.1%up0', '172.19.0.1%up1'],
  },
  {
    name: 'an IPv6 one behind a link-local gateway',
    routes: [route('::/0', { via: 'fe80::1' })],
    nextHops: ['2001:db8::1'],
    hops: ['fe80::1%up0'],
  },
  { name: 'none at all is a reason', routes: [connected], nextHops: [], reason: /no next hop/ },
  {
    name: 'no route is a reason',
    routes: [connected],
    nextHops: ['203.0.113.1'],
    reason: /^no route to next hop 203\.0\.113\.1$/,
  },
  { name: 'an own address is a reason', routes: [connected], nextHops: ['172.18.0.2'], reason: /this node itself/ },
  {
    name: 'an unreachable route is a reason',
    routes: [byDefault, route('203.0.113.0/24', { type: 'unreachable', nextHops: [] })],
    nextHops: ['203.0.113.1'],
    reason: /behind unreachable route 203\.0\.113\.0\/24/,
  },
];

for (const { name, routes, nextHops, hops, reason } of cases) {
  test(`next hop: ${name}`, () => {
    const resolver = new NextHopResolver({ routes, addresses: new Set([parseIp('172.18.0.2')]) });
    const answer = resolver.resolveAll(nextHops.map(parseIp));
    if ('reason' in answer) assert.match(answer.reason, reason ?? /^$/);
    else
      assert.deepEqual(
        answer.hops.map((hop) => `${hop.gateway}%${hop.device}${hop.onlink ? '!' : ''}`),
        hops,
      );
  });
}

test('the source is the first own address of the family that the kernel really has', () => {
  const resolver = new NextHopResolver({ routes: [], addresses: new Set(['172.18.0.2', 'fd18::2'].map(parseIp)) });
  const node = ['172.18.0.99', '172.18.0.2', 'fd18::2'].map(parseIp);
  assert.equal(sourceFor(parsePrefix('10.64.0.0/26'), node, resolver), '172.18.0.2');
  assert.equal(sourceFor(parsePrefix('fd64::/122'), node, resolver), 'fd18::2');
  assert.equal(sourceFor(parsePrefix('fd64::/122'), node.slice(0, 2), resolver), undefined);
});
