import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import { advertisedRoutes, type AdvertisedInput } from './advertised.ts';
import type { PoolObject } from './cluster-view.ts';

function pool(cidr: string, disableBGPExport = false): PoolObject {
  return {
    name: cidr,
    cidr: parsePrefix(cidr),
    blockSize: 26,
    disabled: false,
    natOutgoing: false,
    disableBGPExport,
    nodeSelector: 'all()',
    automatic: true,
    namespaceSelector: undefined,
    workloads: true,
    terminating: false,
    createdAt: '',
  };
}
const block = parsePrefix('10.64.3.0/26');
const other = parsePrefix('10.64.4.0/26');
const base: AdvertisedInput = { confirmed: [], programmed: [], podAddresses: [], pools: [pool('10.64.0.0/16')] };

const rows: readonly { name: string; input: Partial<AdvertisedInput>; told: readonly string[] }[] = [
  {
    name: 'a confirmed block whose blackhole is programmed is told',
    input: { confirmed: [block], programmed: [block] },
    told: ['10.64.3.0/26'],
  },
  { name: 'a confirmed block is not told before its blackhole is programmed', input: { confirmed: [block] }, told: [] },
  { name: 'a programmed block that is no longer confirmed is withdrawn', input: { programmed: [block] }, told: [] },
  {
    name: 'pod addresses inside own blocks are covered by them',
    input: { confirmed: [block], programmed: [block], podAddresses: [parseIp('10.64.3.5')] },
    told: ['10.64.3.0/26'],
  },
  {
    name: 'an address borrowed from another block is told as a host route',
    input: { confirmed: [block], programmed: [block], podAddresses: [parseIp('10.64.9.5')] },
    told: ['10.64.3.0/26', '10.64.9.5/32'],
  },
  {
    name: 'disableBGPExport keeps a pool’s blocks and host routes quiet',
    input: {
      confirmed: [block],
      programmed: [block],
      podAddresses: [parseIp('10.64.9.5')],
      pools: [pool('10.64.0.0/16', true)],
    },
    told: [],
  },
  {
    name: 'output is sorted whatever the order of inputs',
    input: { confirmed: [other, block], programmed: [block, other] },
    told: ['10.64.3.0/26', '10.64.4.0/26'],
  },
];
for (const row of rows) {
  test(row.name, () => {
    deepEqual(
      advertisedRoutes({ ...base, ...row.input }).map((route) => route.prefix),
      row.told,
    );
  });
}
