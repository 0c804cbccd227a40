// Identity, pools, conditions and the node's status: tables of inputs and what follows from them.
import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerStatus } from '#bgp';
import { familyOf, parseIp, parsePrefix } from '#net';
import type { ClusterView, NodeObject, PoolObject } from './cluster-view.ts';
import { conditionClaims } from './conditions.ts';
import { identify, identityChange, routerIdFromName, type Identity } from './identity.ts';
import { nodeStatus, stampStatus, type StatusInput } from './node-status.ts';
import { ipamPools, podFamilies, poolFaults } from './pools.ts';

const node: NodeObject = { name: 'a', labels: { rack: '1' }, annotations: {}, internalIps: [parseIp('192.0.2.1')] };
const local = { addresses: [{ ip: parseIp('192.0.2.1'), interface: 'eth0' }], defaultInterface: {} };

function pool(name: string, cidr: string, more: Partial<PoolObject> = {}): PoolObject {
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
  return { name, cidr: parsePrefix(cidr), blockSize: 26, ...defaults, ...more };
}

function view(more: Partial<ClusterView> = {}): ClusterView {
  const ipam = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSec: 0 };
  return {
    nodes: [node],
    pools: [],
    reserved: [],
    peers: [],
    bgp: { as: 64512, mesh: true, listenPort: 179 },
    ipam,
    ...more,
  };
}

function identityOf(cluster: ClusterView): Identity {
  const found = identify('a', cluster, local);
  if (!found.ok) throw new Error(found.fault);
  return found.identity;
}

test('who we are comes from the Node and the BGPConfiguration; the router id is the IPv4 address', () => {
  const { addresses, as, routerId, listenPort } = identityOf(view());
  deepEqual(
    { addresses, as, routerId, listenPort },
    { addresses: { 4: '192.0.2.1' }, as: 64512, routerId: '192.0.2.1', listenPort: 179 },
  );
});

const unknowns = [
  { name: 'nothing is known yet', view: undefined, fault: /has not been read/ },
  { name: 'the Node is missing', view: view({ nodes: [] }), fault: /there is no Node "a"/ },
  {
    name: 'its address is elsewhere',
    view: view({ nodes: [{ ...node, internalIps: [parseIp('192.0.2.9')] }] }),
    fault: /192\.0\.2\.9 is on no interface/,
  },
] as const;
for (const row of unknowns) {
  test(`who we are cannot be told when ${row.name}, and why`, () => {
    const found = identify('a', row.view, local);
    match(found.ok ? '' : found.fault, row.fault);
  });
}

test('a node without IPv4 has a router id of its name: stable, not zero, another for another name', () => {
  equal(routerIdFromName('a'), routerIdFromName('a'));
  const ids = new Set(Array.from({ length: 1000 }, (_, i) => routerIdFromName(`node-${i}`)));
  equal(ids.size, 1000);
  equal(
    [...ids].every((id) => familyOf(id) === 4 && id !== '0.0.0.0'),
    true,
  );
});

test('a change of AS number or port is a change of identity, one of labels is not', () => {
  const before = identityOf(view());
  equal(identityChange(before, identityOf(view({ nodes: [{ ...node, labels: {} }] }))), undefined);
  match(
    identityChange(before, identityOf(view({ bgp: { as: 64513, mesh: true, listenPort: 1179 } }))) ?? '',
    /AS number 64512 → 64513, listenPort 179 → 1179/,
  );
});

test('pools serve where they select, are enabled, automatic, and the node has the family', () => {
  const pools = [
    pool('here', '10.64.0.0/16', { nodeSelector: "rack == '1'" }),
    pool('there', '10.65.0.0/16', { nodeSelector: "rack == '2'" }),
    pool('manual', 'fd00:64::/48', { automatic: false }),
    pool('six', 'fd00:65::/48'),
  ];
  const ours = ipamPools(pools, node);
  deepEqual(
    ours.map(({ name, selectsNode, automatic }) => [name, selectsNode && automatic]),
    [
      ['here', true],
      ['there', false],
      ['manual', false],
      ['six', true],
    ],
  );
  deepEqual(podFamilies(ours, { 4: parseIp('192.0.2.1') }), [4]);
  deepEqual(podFamilies(ours, { 4: parseIp('192.0.2.1'), 6: parseIp('2001:db8::1') }), [4, 6]);
  deepEqual(podFamilies([], { 4: parseIp('192.0.2.1') }), []);
});

test('of pools that share addresses the oldest gives them out, whatever their names', () => {
  const pools = [
    pool('a', '10.64.0.0/17', { createdAt: '2026-02-01T00:00:00Z' }),
    pool('b', '10.64.0.0/16', { createdAt: '2026-01-01T00:00:00Z' }),
    pool('c', '10.65.0.0/16', { createdAt: '2026-03-01T00:00:00Z' }),
  ];
  deepEqual(
    ipamPools(pools, node).map(({ name, disabled }) => [name, disabled]),
    [
      ['a', true],
      ['b', false],
      ['c', false],
    ],
  );
});

test('overlapping pools are named, each from its own side', () => {
  const faults = poolFaults([pool('b', '10.64.128.0/17'), pool('a', '10.64.0.0/16'), pool('c', '10.65.0.0/16')]);
  deepEqual(faults, [
    'IPPool a (10.64.0.0/16) overlaps IPPool b (10.64.128.0/17); delete one of them',
    'IPPool b (10.64.128.0/17) overlaps IPPool a (10.64.0.0/16); delete one of them',
  ]);
});

test('conditions say of invalid peers which field', () => {
  const invalid = [{ name: 'odd', reason: 'spec.asNumber: is missing' }];
  const claims = conditionClaims(view({}), [{ kind: 'BGPPeer', inSync: true, fault: undefined, invalid }]);
  deepEqual(
    [...claims.peers].map(([name, { reason, message }]) => `${name} ${reason} ${message}`),
    ['odd Invalid spec.asNumber: is missing'],
  );
});

function peer(name: string, state: PeerStatus['state']): PeerStatus {
  return {
    name,
    address: parseIp('192.0.2.2'),
    as: 64512,
    label: 'mesh',
    description: undefined,
    state,
    sinceMs: 0,
    reason: 'x',
    routerId: undefined,
    received: 3,
    accepted: 2,
    stale: 0,
    advertised: 1,
    flaps: 0,
    importRules: [],
    negotiated: undefined,
  };
}

const status: StatusInput = {
  version: '0.1.0',
  startedAt: '2026-01-01T00:00:00.000Z',
  addresses: [parseIp('192.0.2.1')],
  as: 64512,
  routerId: parseIp('192.0.2.1'),
  peers: [peer('mesh/c', 'open-sent'), peer('mesh/b', 'established')],
  blocks: [
    { cidr: parsePrefix('10.64.1.0/26'), used: 1 },
    { cidr: parsePrefix('10.64.0.0/26'), used: 2 },
  ],
  pods: 3,
  checks: [{ name: 'api', fault: undefined }],
};

test('the status counts sessions and blocks, in an order that does not depend on that of the inputs', () => {
  const body = nodeStatus(status);
  deepEqual(body.counts, { sessions: '1/2', pods: 3, blocks: 2 });
  deepEqual(
    body.bgp.peers.map(({ name, state }) => `${name} ${state}`),
    ['mesh/b Established', 'mesh/c OpenSent'],
  );
  const reversed = nodeStatus({ ...status, peers: status.peers.toReversed(), blocks: status.blocks.toReversed() });
  equal(JSON.stringify(reversed), JSON.stringify(body));
});

test('a failing check makes the node not ready, with its reason; the time of the condition moves only with its status', () => {
  const ready = stampStatus(nodeStatus(status), [], '2026-01-01T00:00:01Z');
  const failing = nodeStatus({ ...status, checks: [{ name: 'ipam', fault: 'no IPPool' }] });
  const after = stampStatus(failing, ready.conditions, '2026-01-01T00:00:02Z');
  const later = stampStatus(failing, after.conditions, '2026-01-01T00:00:03Z');
  equal(ready.agent.ready, true);
  deepEqual(later.conditions, [
    {
      type: 'Ready',
      status: 'False',
      reason: 'IpamNotReady',
      message: 'ipam: no IPPool',
      lastTransitionTime: '2026-01-01T00:00:02Z',
    },
  ]);
});
