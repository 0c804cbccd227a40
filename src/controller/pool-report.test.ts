// What is said of a pool, for every state it can be in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Block } from '#ipam';
import type { IPPool } from '#kube';
import { parsePrefix, prefixLength } from '#net';
import type { PoolSnapshot } from './cluster.ts';
import { withReport } from './pool-keeper.ts';
import { reportPools } from './pool-report.ts';

function pool(name: string, cidr: string, deviation: Partial<IPPool> = {}): IPPool {
  return {
    name,
    cidr: parsePrefix(cidr),
    blockSize: 30,
    disabled: false,
    natOutgoing: false,
    disableBGPExport: false,
    nodeSelector: 'all()',
    namespaceSelector: undefined,
    automatic: true,
    workloads: true,
    terminating: false,
    createdAt: '2026-01-01T00:00:00Z',
    ...deviation,
  };
}

/** A block whose first addresses are held, by `node` or by nobody's name. */
function block(cidr: string, held: number, node?: string): Block {
  const prefix = parsePrefix(cidr);
  const size = 2 ** (32 - prefixLength(prefix));
  const ordinals = Array.from({ length: size }, (_, ordinal) => ordinal);
  return {
    cidr: prefix,
    affinity: 'owner',
    allocations: ordinals.map((ordinal) => (ordinal < held ? 0 : null)),
    unallocated: ordinals.filter((ordinal) => ordinal >= held),
    attributes: held === 0 ? [] : [{ handle: 'h', attributes: node === undefined ? {} : { node } }],
    sequenceNumber: 1,
    sequenceNumberForAllocation: {},
    deleted: false,
  };
}

function snapshot(deviation: Partial<PoolSnapshot>): PoolSnapshot {
  return { pools: [], invalidPools: new Map(), blocks: [], unreadableBlocks: [], reserved: [], ...deviation };
}

const rows: readonly { name: string; given: Partial<PoolSnapshot>; says: string; matches?: RegExp }[] = [
  { name: 'empty', given: { pools: [pool('p', '10.0.0.0/29')] }, says: 'true OK 0/0 free' },
  {
    name: 'partly used',
    given: { pools: [pool('p', '10.0.0.0/29')], blocks: [block('10.0.0.0/30', 3), block('10.9.0.0/30', 4)] },
    says: 'true OK 3/1 held',
  },
  {
    name: 'wholly used',
    given: { pools: [pool('p', '10.0.0.0/29')], blocks: [block('10.0.0.0/30', 4), block('10.0.0.4/30', 4)] },
    says: 'false Exhausted 8/2 held',
    matches: /all 8 addresses/,
  },
  {
    name: 'used but for what is reserved, twice over',
    given: {
      pools: [pool('p', '10.0.0.0/29')],
      blocks: [block('10.0.0.0/30', 4)],
      reserved: [parsePrefix('10.0.0.4/30'), parsePrefix('10.0.0.6/32'), parsePrefix('10.0.0.1/32')],
    },
    says: 'false Exhausted 4/1 held',
  },
  {
    name: 'reserved addresses that are in use do not count twice',
    given: {
      pools: [pool('p', '10.0.0.0/29')],
      blocks: [block('10.0.0.0/30', 4)],
      reserved: [parsePrefix('10.0.0.0/30')],
    },
    says: 'true OK 4/1 held',
  },
  {
    name: 'huge and wholly free',
    given: { pools: [pool('p', 'fd00::/48', { blockSize: 122 })] },
    says: 'true OK 0/0 free',
  },
  {
    name: 'disabled',
    given: { pools: [pool('p', '10.0.0.0/29', { disabled: true })] },
    says: 'false PoolDisabled 0/0 free',
    matches: /spec\.disabled/,
  },
  {
    name: 'being deleted, in use',
    given: {
      pools: [pool('p', '10.0.0.0/29', { disabled: true, terminating: true })],
      blocks: [block('10.0.0.0/30', 2, 'n1'), block('10.0.0.4/30', 1)],
    },
    says: 'false Terminating 3/2 held',
    matches: /3 addresses are still in use on n1 \(2\), owner \(1\)/,
  },
  {
    name: 'being deleted, empty',
    given: {
      pools: [pool('p', '10.0.0.0/29', { disabled: true, terminating: true })],
      blocks: [block('10.0.0.0/30', 0)],
    },
    says: 'false Terminating 0/1 free',
  },
  {
    name: 'being deleted, with a block somewhere that cannot be read',
    given: { pools: [pool('p', '10.0.0.0/29', { disabled: true, terminating: true })], unreadableBlocks: ['odd'] },
    says: 'false Terminating 0/0 held',
    matches: /IPAMBlock odd cannot be understood/,
  },
  {
    name: 'younger than one it overlaps',
    given: { pools: [pool('p', '10.0.0.0/29', { createdAt: '2026-01-02T00:00:00Z' }), pool('z', '10.0.0.0/16')] },
    says: 'false CIDROverlap 0/0 free',
    matches: /overlaps IPPool z \(10\.0\.0\.0\/16\), which is older/,
  },
  {
    name: 'older than one it overlaps',
    given: { pools: [pool('q', '10.0.0.0/16'), pool('p', '10.0.0.0/29')] },
    says: 'true OK 0/0 free',
  },
  {
    name: 'invalid now, valid before',
    given: {
      pools: [pool('p', '10.0.0.0/29')],
      blocks: [block('10.0.0.0/30', 1)],
      invalidPools: new Map([['p', 'spec.cidr: no']]),
    },
    says: 'false Invalid 1/1 held',
    matches: /^spec\.cidr: no$/,
  },
  {
    name: 'invalid for ever',
    given: { invalidPools: new Map([['p', 'spec.cidr: no']]) },
    says: 'false Invalid 0/0 held',
  },
];

for (const { name, given, says, matches = /./ } of rows) {
  test(`a pool that is ${name}`, () => {
    const report = reportPools(snapshot(given)).get('p');
    assert.ok(report !== undefined);
    const { claim, counts, inUse } = report;
    const numbers = `${counts.addressesInUse}/${counts.blocks} ${inUse ? 'held' : 'free'}`;
    assert.equal(`${claim.holds} ${claim.reason} ${numbers}`, says);
    assert.match(claim.message, matches);
  });
}

test('a status that says it all is not written again, one that counts otherwise is', () => {
  const [report] = reportPools(snapshot({ pools: [pool('p', '10.0.0.0/29')] })).values();
  assert.ok(report !== undefined);
  const object = { metadata: { name: 'p', generation: 3 } };
  const status = withReport(object, report, '2026-01-01T00:00:00Z');
  assert.ok(status !== undefined);
  assert.equal(withReport({ ...object, status }, report, '2027-01-01T00:00:00Z'), undefined);
  const more = { ...report, counts: { ...report.counts, addressesInUse: 1 } };
  assert.deepEqual(withReport({ ...object, status }, more, '2027-01-01T00:00:00Z'), { ...status, addressesInUse: 1 });
});
