// The peer table: who is peered with, over which address, and which routes are believed and told.
import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { evaluatePolicy, type PeerSpec } from '#bgp';
import { parseIp, parsePrefix, type Ip, type Prefix } from '#net';
import * as fc from 'fast-check';
import type { ClusterView, NodeObject, PeerObject, PoolObject } from './cluster-view.ts';
import { importPolicy } from './import-policy.ts';
import { desiredPeers } from './peers.ts';

const ip = parseIp;
const prefix = parsePrefix;

const bgpDefaults = { as: 64512, mesh: true, listenPort: 179 };
const ipam = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSec: 0 };

function node(name: string, ips: readonly string[], more: Partial<NodeObject> = {}): NodeObject {
  return { name, labels: {}, annotations: {}, internalIps: ips.map(ip), ...more };
}

function pool(cidr: string, more: Partial<PoolObject> = {}): PoolObject {
  const defaults = {
    disabled: false,
    natOutgoing: false,
    disableBGPExport: false,
    nodeSelector: 'all()',
    automatic: true,
    namespaceSelector: undefined,
    workloads: true,
    terminating: false,
    createdAt: '',
  };
  return { name: cidr, cidr: prefix(cidr), blockSize: cidr.includes(':') ? 122 : 26, ...defaults, ...more };
}

function peer(name: string, address: string, more: Partial<PeerObject> = {}): PeerObject {
  const defaults = {
    node: undefined,
    nodeSelector: undefined,
    port: 179,
    holdTimeSec: undefined,
    keepaliveSec: undefined,
  };
  return { name, address: ip(address), as: 65001, passive: false, enabled: true, ...defaults, ...more };
}

const self = node('a', ['192.0.2.1', '2001:db8::1'], { labels: { rack: '1' } });
const b = node('b', ['192.0.2.2', '2001:db8::2']);

function view(more: Partial<ClusterView>): ClusterView {
  return { nodes: [self, b], pools: [pool('10.64.0.0/16')], reserved: [], peers: [], bgp: bgpDefaults, ipam, ...more };
}

function desired(more: Partial<ClusterView>, ownBlocks: readonly Prefix[] = [], originated: readonly Prefix[] = []) {
  return desiredPeers({
    view: view(more),
    self,
    addresses: { 4: ip('192.0.2.1'), 6: ip('2001:db8::1') },
    ownBlocks,
    originated,
  });
}

const short = ({ name, address, localAddress, as, port, families, label }: PeerSpec) => ({
  name,
  address,
  localAddress,
  as,
  port,
  families,
  label,
});

const tables: readonly {
  name: string;
  view: Partial<ClusterView>;
  peers: readonly unknown[];
  faults?: readonly string[];
}[] = [
  {
    name: 'every other node is a mesh peer, over IPv4 where both have it, carrying both families',
    view: {},
    peers: [
      {
        name: 'mesh/b',
        address: '192.0.2.2',
        localAddress: '192.0.2.1',
        as: 64512,
        port: 179,
        families: [4, 6],
        label: 'mesh',
      },
    ],
  },
  {
    name: 'a node with IPv6 alone is reached over IPv6',
    view: { nodes: [self, node('b', ['2001:db8::2'])] },
    peers: [
      {
        name: 'mesh/b',
        address: '2001:db8::2',
        localAddress: '2001:db8::1',
        as: 64512,
        port: 179,
        families: [6],
        label: 'mesh',
      },
    ],
  },
  {
    name: 'annotations override addresses and AS number, the port comes from BGPConfiguration',
    view: {
      nodes: [
        self,
        node('b', ['192.0.2.2'], {
          annotations: { 'manx.network/IPv4Address': '198.51.100.2/24', 'manx.network/ASNumber': '65002' },
        }),
      ],
      bgp: { ...bgpDefaults, listenPort: 1790 },
    },
    peers: [
      {
        name: 'mesh/b',
        address: '198.51.100.2',
        localAddress: '192.0.2.1',
        as: 65002,
        port: 1790,
        families: [4],
        label: 'mesh',
      },
    ],
  },
  { name: 'no mesh when BGPConfiguration says so', view: { bgp: { ...bgpDefaults, mesh: false } }, peers: [] },
  {
    name: 'a node without an address is named, not peered',
    view: { nodes: [self, node('b', [])] },
    peers: [],
    faults: ['node b: no address in a family this node has, no session'],
  },
  {
    name: 'a wrong annotation is named and nothing is guessed in its place',
    view: { nodes: [self, node('b', ['192.0.2.2'], { annotations: { 'manx.network/IPv4Address': 'b.example' } })] },
    peers: [],
    faults: ['node b: annotation manx.network/IPv4Address is "b.example", expected an IPv4 address'],
  },
  {
    name: 'two nodes with one address do not peer with themselves',
    view: { nodes: [self, node('b', ['192.0.2.1'])] },
    peers: [],
    faults: ['node b: has the address 192.0.2.1 of this node, no session'],
  },
  {
    name: 'a BGPPeer applies where it names, selects or excludes nobody',
    view: {
      nodes: [self],
      peers: [
        peer('all', '192.0.2.250'),
        peer('named', '192.0.2.251', { node: 'a' }),
        peer('other', '192.0.2.252', { node: 'b' }),
        peer('selected', '2001:db8::253', { nodeSelector: "rack == '1'", port: 1179 }),
        peer('not selected', '192.0.2.254', { nodeSelector: "rack == '2'" }),
        peer('off', '192.0.2.249', { enabled: false }),
      ],
    },
    peers: [
      {
        name: 'all',
        address: '192.0.2.250',
        localAddress: '192.0.2.1',
        as: 65001,
        port: 179,
        families: [4, 6],
        label: 'configured',
      },
      {
        name: 'named',
        address: '192.0.2.251',
        localAddress: '192.0.2.1',
        as: 65001,
        port: 179,
        families: [4, 6],
        label: 'configured',
      },
      {
        name: 'selected',
        address: '2001:db8::253',
        localAddress: '2001:db8::1',
        as: 65001,
        port: 1179,
        families: [4, 6],
        label: 'configured',
      },
    ],
  },
  {
    name: 'a BGPPeer with the address of a mesh node replaces the mesh session; a second one for it is named',
    view: { peers: [peer('first', '192.0.2.2'), peer('second', '192.0.2.2')] },
    peers: [
      {
        name: 'first',
        address: '192.0.2.2',
        localAddress: '192.0.2.1',
        as: 65001,
        port: 179,
        families: [4, 6],
        label: 'configured',
      },
    ],
    faults: ['BGPPeer second: 192.0.2.2 is the peer of BGPPeer first already'],
  },
  {
    name: 'a BGPPeer that is this node, or has an unreadable selector, is named',
    view: { nodes: [self], peers: [peer('me', '192.0.2.1'), peer('odd', '192.0.2.9', { nodeSelector: 'rack ==' })] },
    peers: [],
  },
];
for (const row of tables) {
  test(row.name, () => {
    const { peers, faults } = desired(row.view);
    deepEqual(peers.map(short), row.peers);
    if (row.faults !== undefined) deepEqual(faults, row.faults);
    else if (row.peers.length === 0 && row.view.peers !== undefined) equal(faults.length, row.view.peers.length);
  });
}

test('the table does not depend on the order of its inputs', () => {
  const nodes = [self, b, node('c', ['192.0.2.3']), node('d', ['2001:db8::4'])];
  const peers = [peer('x', '192.0.2.3'), peer('y', '192.0.2.200'), peer('z', '192.0.2.200')];
  const pools = [pool('10.64.0.0/16'), pool('fd00:64::/48')];
  const blocks = [prefix('10.64.3.0/26'), prefix('fd00:64::40/122')];
  const expected = desired({ nodes, peers, pools }, blocks, blocks).peers;
  const shuffled = <T>(items: readonly T[]) => fc.shuffledSubarray([...items], { minLength: items.length });
  fc.assert(
    fc.property(shuffled(nodes), shuffled(peers), shuffled(pools), shuffled(blocks), (n, p, q, k) => {
      deepEqual(desired({ nodes: n, peers: p, pools: q }, k, k).peers, expected);
    }),
  );
});

const verdicts: readonly { route: string; via?: string; action: 'accept' | 'reject'; rule: string }[] = [
  { route: '10.64.7.0/26', action: 'accept', rule: 'inside a pool' },
  { route: '10.65.1.0/26', action: 'accept', rule: 'inside a pool' },
  { route: '10.64.7.9/32', action: 'accept', rule: 'inside a pool' },
  { route: 'fd00:64::80/122', via: '2001:db8::2', action: 'accept', rule: 'inside a pool' },
  { route: '10.64.7.0/26', via: '192.0.2.3', action: 'reject', rule: 'next hop is not the peer' },
  { route: '10.64.3.0/26', action: 'reject', rule: 'inside a block of this node' },
  { route: '10.64.3.5/32', action: 'accept', rule: 'borrowed from a block of this node' },
  { route: '10.64.3.5/32', via: '192.0.2.3', action: 'reject', rule: 'inside a block of this node' },
  { route: '10.64.3.4/31', action: 'reject', rule: 'inside a block of this node' },
  { route: '10.64.2.0/23', action: 'reject', rule: 'covers a block of this node' },
  { route: '10.64.0.0/16', action: 'reject', rule: 'covers a block of this node' },
  { route: 'fd00:64::/48', via: '2001:db8::2', action: 'reject', rule: 'covers a block of this node' },
  { route: '0.0.0.0/0', action: 'reject', rule: 'outside every pool' },
  { route: '::/0', via: '2001:db8::2', action: 'reject', rule: 'outside every pool' },
  { route: '10.0.0.0/8', action: 'reject', rule: 'outside every pool' },
  { route: '192.0.2.0/24', action: 'reject', rule: 'outside every pool' },
];
for (const { route, via = '192.0.2.2', action, rule } of verdicts) {
  test(`from a mesh peer ${route} via ${via}: ${action}, ${rule}`, () => {
    const pools = [pool('10.64.0.0/16'), pool('10.65.0.0/16', { disabled: true }), pool('fd00:64::/48')];
    const [mesh] = desired({ pools }, [prefix('10.64.3.0/26'), prefix('fd00:64::40/122')]).peers;
    deepEqual(mesh === undefined ? undefined : evaluatePolicy(mesh.import, prefix(route), ip(via)), { action, rule });
  });
}

test('a configured peer may be any next hop, but no more prefixes', () => {
  const policy = importPolicy({ pools: [prefix('10.64.0.0/16')], ownBlocks: [] }, undefined);
  equal(evaluatePolicy(policy, prefix('10.64.0.0/16'), ip('203.0.113.1')).action, 'accept');
  equal(evaluatePolicy(policy, prefix('0.0.0.0/0'), ip('203.0.113.1')).action, 'reject');
});

test('no route inside or over an own block is ever believed from a configured peer', () => {
  const pools = [prefix('10.64.0.0/16')];
  const own = prefix('10.64.3.0/26');
  const policy = importPolicy({ pools, ownBlocks: [own] }, undefined);
  fc.assert(
    fc.property(fc.nat(63), fc.integer({ min: 16, max: 32 }), (host, length) => {
      const inside = prefix(`${ownAddress(host, length)}/${length}`);
      equal(evaluatePolicy(policy, inside, ip('192.0.2.2')).action, 'reject');
    }),
  );
});

function ownAddress(host: number, length: number): Ip {
  const value = ((10 << 24) | (64 << 16) | (3 << 8) | host) >>> 0;
  const masked = length === 0 ? 0 : (value & (0xffffffff << (32 - length))) >>> 0;
  return ip([24, 16, 8, 0].map((shift) => (masked >>> shift) & 255).join('.'));
}

test('exported is exactly what is originated', () => {
  const own = prefix('10.64.3.0/26');
  const [mesh] = desired({}, [own], [own]).peers;
  const exported = (text: string) => mesh && evaluatePolicy(mesh.export, prefix(text), undefined).action;
  equal(exported('10.64.3.0/26'), 'accept');
  equal(exported('10.64.3.0/27'), 'reject');
  equal(exported('10.64.4.0/26'), 'reject');
});
