import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { Block } from '#ipam';
import { parsePrefix } from '#net';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';
import { parseBGPConfiguration } from './bgp-configuration.ts';
import { parseBGPPeer } from './bgp-peer.ts';
import { parseBlockAffinity, toAffinitySpec } from './block-affinity.ts';
import { parseDurationSec } from './duration.ts';
import { parseIPPool } from './ip-pool.ts';
import { parseIPAMBlock, toBlockSpec } from './ipam-block.ts';
import { parseIPReservation } from './ip-reservation.ts';
import { parseIPAMConfiguration } from './ipam-configuration.ts';
import { parseNamespace } from './namespace.ts';
import { parseNode } from './node.ts';
import { parsePod } from './pod.ts';

type Spec = Readonly<Record<string, unknown>>;

function object(spec: unknown, name = 'x', rest: Spec = {}): KubeObject {
  return { metadata: { name, ...rest }, spec };
}

/** The reason of a refusal; empty for a value. */
function reason<T>(result: ParseResult<T>): string {
  return result.ok ? '' : result.reason;
}

/** Reads `result` as a test would say it: the value, or the reason. */
function outcome<T>(result: ParseResult<T>): T | string {
  return result.ok ? result.value : result.reason;
}

interface Row {
  readonly name: string;
  readonly spec: Spec;
  readonly object?: string;
  /** Part of the value, or the reason. */
  readonly expected: Spec | RegExp;
}

function rows<T extends object>(
  kind: string,
  parse: (object: KubeObject) => ParseResult<T>,
  table: readonly Row[],
): void {
  suite(kind, () => {
    for (const { name, spec, expected, object: objectName } of table) {
      test(name, () => {
        const result = parse(object(spec, objectName));
        if (expected instanceof RegExp) assert.match(reason(result), expected);
        else assert.partialDeepStrictEqual(outcome(result), expected);
      });
    }
  });
}

rows('IPPool', parseIPPool, [
  {
    name: 'has the defaults of its family',
    spec: { cidr: '10.64.0.0/16' },
    expected: {
      name: 'x',
      cidr: '10.64.0.0/16',
      blockSize: 26,
      disabled: false,
      natOutgoing: false,
      disableBGPExport: false,
      nodeSelector: 'all()',
      automatic: true,
    },
  },
  { name: 'has another block size for IPv6', spec: { cidr: 'fd00:10:64::/56' }, expected: { blockSize: 122 } },
  { name: 'is canonical however it was written', spec: { cidr: 'FD00:0010::/56' }, expected: { cidr: 'fd00:10::/56' } },
  {
    name: 'is not automatic when Manual',
    spec: { cidr: '10.64.0.0/16', assignmentMode: 'Manual' },
    expected: { automatic: false },
  },
  {
    name: 'is not for workloads without the use Workload',
    spec: { cidr: '10.64.0.0/16', allowedUses: ['Tunnel'] },
    expected: { workloads: false },
  },
  { name: 'takes null for absent', spec: { cidr: '10.64.0.0/16', blockSize: null }, expected: { blockSize: 26 } },
  { name: 'needs a cidr', spec: {}, expected: /^spec\.cidr: is missing$/ },
  { name: 'refuses host bits', spec: { cidr: '10.64.0.1/16' }, expected: /^spec\.cidr: "10\.64\.0\.1\/16": / },
  {
    name: 'refuses a link-local range',
    spec: { cidr: '169.254.0.0/17' },
    expected: /^spec\.cidr: overlaps the link-local range 169\.254\.0\.0\/16$/,
  },
  {
    name: 'refuses a range that covers loopback',
    spec: { cidr: '::/0' },
    expected: /^spec\.cidr: overlaps the loopback range/,
  },
  {
    name: 'refuses a block size of the other family',
    spec: { cidr: '10.64.0.0/16', blockSize: 122 },
    expected: /^spec\.blockSize: must be a whole number from 20 to 32$/,
  },
  {
    name: 'refuses to be smaller than a block',
    spec: { cidr: '10.64.0.0/27' },
    expected: /^spec\.blockSize: 26 is shorter than the prefix of cidr/,
  },
  {
    name: 'refuses a tunnel',
    spec: { cidr: '10.64.0.0/16', vxlanMode: 'CrossSubnet' },
    expected: /^spec\.vxlanMode: must be one of Never$/,
  },
  {
    name: 'refuses a selector that does not parse',
    spec: { cidr: '10.64.0.0/16', nodeSelector: 'rack ==' },
    expected: /^spec\.nodeSelector: /,
  },
  {
    name: 'refuses an unknown use',
    spec: { cidr: '10.64.0.0/16', allowedUses: ['LoadBalancer'] },
    expected: /^spec\.allowedUses: must be of Workload, Tunnel$/,
  },
  {
    name: 'refuses a flag that is text',
    spec: { cidr: '10.64.0.0/16', disabled: 'yes' },
    expected: /^spec\.disabled: must be true or false$/,
  },
  {
    name: 'refuses a namespace selector that does not parse',
    spec: { cidr: '10.64.0.0/16', namespaceSelector: 'team ==' },
    expected: /^spec\.namespaceSelector: /,
  },
]);

test('a pool that is being deleted hands out no new addresses', () => {
  const dying = object({ cidr: '10.64.0.0/16' }, 'x', { deletionTimestamp: '2026-01-01T00:00:00Z' });
  assert.partialDeepStrictEqual(outcome(parseIPPool(dying)), { disabled: true });
});

const peer = { peerIP: '10.0.0.1', asNumber: 64512 };
rows('BGPPeer', parseBGPPeer, [
  {
    name: 'has defaults',
    spec: peer,
    expected: {
      address: '10.0.0.1',
      port: 179,
      as: 64512,
      node: undefined,
      nodeSelector: undefined,
      passive: false,
      enabled: true,
      description: '',
    },
  },
  {
    name: 'may have a port',
    spec: { ...peer, peerIP: '10.0.0.1:1790' },
    expected: { address: '10.0.0.1', port: 1790 },
  },
  {
    name: 'may have an IPv6 port',
    spec: { ...peer, peerIP: '[fd00::1]:1790' },
    expected: { address: 'fd00::1', port: 1790 },
  },
  {
    name: 'may have times',
    spec: { ...peer, holdTime: '1m30s', keepaliveTime: '30s' },
    expected: { holdTimeSec: 90, keepaliveSec: 30 },
  },
  {
    name: 'may go without a hold timer',
    spec: { ...peer, holdTime: '0s', keepaliveTime: '30s' },
    expected: { holdTimeSec: 0 },
  },
  {
    name: 'refuses port 0',
    spec: { ...peer, peerIP: '10.0.0.1:0' },
    expected: /^spec\.peerIP: port 0 is not from 1 to 65535$/,
  },
  { name: 'refuses a name', spec: { ...peer, peerIP: 'tor' }, expected: /^spec\.peerIP: "tor": / },
  {
    name: 'refuses a multicast address',
    spec: { ...peer, peerIP: '224.0.0.5' },
    expected: /^spec\.peerIP: 224\.0\.0\.5 is a multicast address$/,
  },
  {
    name: 'refuses a link-local address',
    spec: { ...peer, peerIP: 'fe80::1' },
    expected: /^spec\.peerIP: fe80::1 is a link-local address/,
  },
  { name: 'needs an AS number', spec: { peerIP: '10.0.0.1' }, expected: /^spec\.asNumber: is missing$/ },
  {
    name: 'refuses AS 0',
    spec: { ...peer, asNumber: 0 },
    expected: /^spec\.asNumber: must be a whole number from 1 to 4294967294$/,
  },
  {
    name: 'refuses AS_TRANS',
    spec: { ...peer, asNumber: 23456 },
    expected: /^spec\.asNumber: must not be 23456 \(AS_TRANS\)$/,
  },
  {
    name: 'refuses node beside nodeSelector',
    spec: { ...peer, node: 'a', nodeSelector: 'all()' },
    expected: /^spec\.nodeSelector: cannot be set beside node$/,
  },
  {
    name: 'refuses a hold time of 2 s',
    spec: { ...peer, holdTime: '2s' },
    expected: /^spec\.holdTime: must be 0s, or 3s to 65535s$/,
  },
  {
    name: 'refuses a keepalive too slow',
    spec: { ...peer, holdTime: '9s', keepaliveTime: '4s' },
    expected: /^spec\.holdTime: must be at least three times keepaliveTime$/,
  },
  {
    name: 'refuses a time without a unit',
    spec: { ...peer, holdTime: '90' },
    expected: /^spec\.holdTime: "90" is no time such as 90s/,
  },
  {
    name: 'refuses a password rather than run without',
    spec: { ...peer, password: {} },
    expected: /^spec\.password: is not supported in this version$/,
  },
]);

rows('BGPConfiguration', parseBGPConfiguration, [
  { name: 'has defaults', object: 'default', spec: {}, expected: { as: 64512, mesh: true, listenPort: 179 } },
  {
    name: 'sets the AS of nodes',
    object: 'default',
    spec: { asNumber: 4_200_000_000, nodeToNodeMeshEnabled: false },
    expected: { as: 4_200_000_000, mesh: false },
  },
  { name: 'must be named default', object: 'node.a', spec: {}, expected: /^metadata\.name: must be default$/ },
  {
    name: 'refuses service ranges by name',
    object: 'default',
    spec: { serviceClusterIPs: [] },
    expected: /^spec\.serviceClusterIPs: is not supported/,
  },
]);

rows('IPAMConfiguration', parseIPAMConfiguration, [
  {
    name: 'has defaults',
    object: 'default',
    spec: {},
    expected: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSec: 0 },
  },
  {
    name: 'has every setting',
    object: 'default',
    spec: { strictAffinity: true, autoAllocateBlocks: false, maxBlocksPerHost: 3, ipCooldownSeconds: 60 },
    expected: { strictAffinity: true, autoAllocateBlocks: false, maxBlocksPerHost: 3, cooldownSec: 60 },
  },
  {
    name: 'refuses autoAllocateBlocks false without strictAffinity',
    object: 'default',
    spec: { autoAllocateBlocks: false },
    expected: /^spec\.autoAllocateBlocks: false needs strictAffinity true$/,
  },
]);

rows('IPReservation', parseIPReservation, [
  {
    name: 'has addresses and ranges of both families, canonical',
    spec: { reservedCIDRs: ['10.64.0.0/29', '10.64.0.9', 'FD00::1', 'fd00::/120'] },
    expected: { name: 'x', cidrs: ['10.64.0.0/29', '10.64.0.9/32', 'fd00::1/128', 'fd00::/120'] },
  },
  { name: 'may be empty', spec: {}, expected: { cidrs: [] } },
  {
    name: 'refuses host bits by place',
    spec: { reservedCIDRs: ['10.64.0.9', '10.64.0.1/29'] },
    expected: /^spec\.reservedCIDRs\[1\]: "10\.64\.0\.1\/29": /,
  },
  {
    name: 'refuses what is no text',
    spec: { reservedCIDRs: [7] },
    expected: /^spec\.reservedCIDRs\[0\]: must be a string$/,
  },
]);

suite('core kinds', () => {
  test('a Node has its InternalIPs in order, canonical, without other addresses', () => {
    const node = {
      metadata: { name: 'n', uid: 'u', labels: { rack: '1' }, annotations: { 'manx.network/ASNumber': '65001' } },
      status: {
        addresses: [
          { type: 'Hostname', address: 'n' },
          { type: 'InternalIP', address: '10.0.0.1' },
          { type: 'InternalIP', address: 'FD00::1' },
          { type: 'InternalIP', address: 'not-an-address' },
          { type: 'ExternalIP', address: '192.0.2.1' },
        ],
      },
    };
    assert.deepEqual(outcome(parseNode(node)), {
      name: 'n',
      uid: 'u',
      labels: { rack: '1' },
      annotations: { 'manx.network/ASNumber': '65001' },
      internalIps: ['10.0.0.1', 'fd00::1'],
    });
  });

  test('a Node without status is a node without addresses', () => {
    assert.partialDeepStrictEqual(outcome(parseNode({ metadata: { name: 'n' } })), { internalIps: [], labels: {} });
  });

  test('a Pod has its node, addresses and phase', () => {
    const pod = {
      metadata: { name: 'p', namespace: 'd', uid: 'u', deletionTimestamp: '2026-01-01T00:00:00Z' },
      spec: { nodeName: 'n' },
      status: { phase: 'Running', podIPs: [{ ip: '10.64.0.1' }, { ip: 'fd00::1' }] },
    };
    assert.deepEqual(outcome(parsePod(pod)), {
      namespace: 'd',
      name: 'p',
      uid: 'u',
      labels: {},
      annotations: {},
      node: 'n',
      hostNetwork: false,
      phase: 'Running',
      ips: ['10.64.0.1', 'fd00::1'],
      terminating: true,
    });
  });

  test('a Namespace has its labels', () => {
    assert.deepEqual(outcome(parseNamespace({ metadata: { name: 'd', labels: { a: 'b' } } })), {
      name: 'd',
      labels: { a: 'b' },
      annotations: {},
    });
  });

  test('labels that are no strings are refused by key', () => {
    assert.equal(
      outcome(parseNamespace({ metadata: { name: 'd', labels: { a: 5 } } })),
      'metadata.labels.a: must be a string',
    );
  });
});

suite('IPAM kinds are the values of IPAM', () => {
  const plain = { noNullPrototype: true };
  const texts = fc.dictionary(fc.string(), fc.string(), plain);
  const attribute = fc.oneof(
    fc.record({ handle: fc.string({ minLength: 1 }), attributes: texts }, plain),
    fc.record(
      {
        handle: fc.constant(undefined),
        attributes: fc.constant({}),
        releasedAt: fc.constant('2026-01-02T03:04:05.678Z'),
      },
      plain,
    ),
  );
  const block: fc.Arbitrary<Block> = fc.record(
    {
      cidr: fc.constantFrom(parsePrefix('10.64.0.0/26'), parsePrefix('fd00::/122')),
      affinity: fc.option(fc.stringMatching(/^[a-z0-9][a-z0-9.-]*$/), { nil: undefined }),
      allocations: fc.array(fc.option(fc.nat(4095))),
      unallocated: fc.array(fc.nat(4095)),
      attributes: fc.array(attribute),
      sequenceNumber: fc.nat(Number.MAX_SAFE_INTEGER),
      sequenceNumberForAllocation: fc.dictionary(fc.nat(4095).map(String), fc.nat(Number.MAX_SAFE_INTEGER), plain),
      deleted: fc.boolean(),
    },
    plain,
  );

  test('a block survives the way to JSON and back', () => {
    fc.assert(
      fc.property(block, (value) => {
        const spec: unknown = JSON.parse(JSON.stringify(toBlockSpec(value)));
        assert.deepEqual(outcome(parseIPAMBlock(object(spec))), value);
      }),
    );
  });

  test('an affinity survives the way to JSON and back', () => {
    const value = { node: 'a', cidr: parsePrefix('10.64.0.0/26'), state: 'pendingDeletion', deleted: true } as const;
    assert.deepEqual(outcome(parseBlockAffinity(object(JSON.parse(JSON.stringify(toAffinitySpec(value)))))), value);
  });

  const good = { cidr: '10.64.0.0/30', allocations: [null], unallocated: [0], attributes: [], sequenceNumber: 1 };
  const bad: readonly (readonly [name: string, spec: Spec, says: RegExp])[] = [
    ['an owner of another kind', { ...good, affinity: 'virtual:lb' }, /^spec\.affinity: must be host:NODE$/],
    [
      'an ordinal that is no number',
      { ...good, allocations: ['0'] },
      /^spec\.allocations: must be a whole number from 0 to 4095$/,
    ],
    [
      'a sequence number beyond the exact ones',
      { ...good, sequenceNumber: 2 ** 60 },
      /^spec\.sequenceNumber: must be a whole number/,
    ],
    ['no sequence number', { ...good, sequenceNumber: null }, /^spec\.sequenceNumber: is missing$/],
    ['attributes that are no list', { ...good, attributes: {} }, /^spec\.attributes: must be a list$/],
    ['an owner that is no map', { ...good, attributes: [5] }, /^spec\.attributes\[0\]: must be a map$/],
  ];
  for (const [name, spec, says] of bad) {
    test(`a block with ${name} is refused by field`, () => assert.match(reason(parseIPAMBlock(object(spec))), says));
  }
});

suite('words of configuration', () => {
  test('any JSON is read or refused, never thrown at', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        for (const parse of [parseIPPool, parseBGPPeer, parseBGPConfiguration, parseIPAMBlock, parseBlockAffinity]) {
          const result = parse(object(spec, 'default'));
          assert.ok(result.ok || result.reason !== '');
        }
      }),
    );
  });

  const times: readonly (readonly [text: string, seconds: number | undefined])[] = [
    ['90s', 90],
    ['1m30s', 90],
    ['1h', 3600],
    ['0s', 0],
    ['', undefined],
    ['90', undefined],
    ['1.5s', undefined],
    ['-1s', undefined],
    ['30s1m', undefined],
  ];
  for (const [text, seconds] of times) {
    test(`the time ${JSON.stringify(text)} is ${seconds === undefined ? 'refused' : `${seconds} s`}`, () => {
      if (seconds === undefined) assert.throws(() => parseDurationSec(text), RangeError);
      else assert.equal(parseDurationSec(text), seconds);
    });
  }

  const addresses: readonly (readonly [ip: string, says: RegExp | undefined])[] = [
    ['10.0.0.1', undefined],
    ['fd00::1', undefined],
    ['0.0.0.0', /unspecified/],
    ['::', /unspecified/],
    ['127.1.2.3', /loopback/],
    ['::1', /loopback/],
    ['224.0.0.5', /multicast/],
    ['ff02::5', /multicast/],
    ['169.254.1.1', /link-local/],
    ['fe80::1', /link-local/],
    ['255.255.255.255', /broadcast/],
  ];
  for (const [text, says] of addresses) {
    test(`${text} ${says === undefined ? 'can be an address of a peer' : `is refused: ${says.source}`}`, () => {
      const parsed = reason(parseBGPPeer(object({ ...peer, peerIP: text })));
      if (says === undefined) assert.equal(parsed, '');
      else assert.match(parsed, says);
    });
  }
});
