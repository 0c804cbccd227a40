/**
 * IPPool (crds/ippools.yaml): a range of addresses that pods get theirs from. blockSize unset means 26 for IPv4, 122 for IPv6.
 */
import { type Family, type Prefix, prefixFamily, prefixLength } from '#net';
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';
import { unusableRange } from './address.ts';

export interface IPPool {
  readonly name: string;
  readonly cidr: Prefix;
  /** Prefix length of one block. */
  readonly blockSize: number;
  /** No new addresses, those handed out live on; true also while the object is being deleted. */
  readonly disabled: boolean;
  readonly natOutgoing: boolean;
  readonly disableBGPExport: boolean;
  /** Checked by #selector, kept as written. */
  readonly nodeSelector: string;
  /** Checked by #selector, kept as written; undefined: every namespace. */
  readonly namespaceSelector: string | undefined;
  /** assignmentMode Automatic: serves pods that did not ask for it by name. */
  readonly automatic: boolean;
  /** Workload is among its uses: serves pods at all. */
  readonly workloads: boolean;
  /** The object is being deleted. */
  readonly terminating: boolean;
  /** metadata.creationTimestamp, empty when unknown: of two pools that overlap, the older one counts. */
  readonly createdAt: string;
}

const BLOCK_SIZES: Readonly<Record<Family, { readonly min: number; readonly max: number; readonly fallback: number }>> =
  {
    4: { min: 20, max: 32, fallback: 26 },
    6: { min: 116, max: 128, fallback: 122 },
  };
const USES = ['Workload', 'Tunnel'];

export function parseIPPool(object: KubeObject): ParseResult<IPPool> {
  return parseFields(object, readIPPool);
}

function readIPPool(object: Fields): IPPool {
  const metadata = object.fields('metadata');
  const spec = object.fields('spec');
  spec.word('ipipMode', ['Never'], 'Never');
  spec.word('vxlanMode', ['Never'], 'Never');
  const cidr = spec.prefix('cidr');
  const fault = unusableRange(cidr);
  if (fault !== undefined) return spec.fail('cidr', fault);
  const terminating = metadata.text('deletionTimestamp') !== undefined;
  return {
    name: metadata.requiredText('name'),
    cidr,
    blockSize: readBlockSize(spec, cidr),
    disabled: spec.flag('disabled', false) || terminating,
    natOutgoing: spec.flag('natOutgoing', false),
    disableBGPExport: spec.flag('disableBGPExport', false),
    nodeSelector: spec.selector('nodeSelector') ?? 'all()',
    namespaceSelector: spec.selector('namespaceSelector'),
    automatic: spec.word('assignmentMode', ['Automatic', 'Manual'], 'Automatic') === 'Automatic',
    workloads: isForWorkloads(spec),
    terminating,
    createdAt: metadata.text('creationTimestamp') ?? '',
  };
}

function readBlockSize(spec: Fields, cidr: Prefix): number {
  const { min, max, fallback } = BLOCK_SIZES[prefixFamily(cidr)];
  const blockSize = spec.integer('blockSize', { min, max }) ?? fallback;
  if (prefixLength(cidr) <= blockSize) return blockSize;
  return spec.fail('blockSize', `${blockSize} is shorter than the prefix of cidr ${cidr}, so the pool holds no block`);
}

function isForWorkloads(spec: Fields): boolean {
  const uses = spec.list('allowedUses');
  for (const use of uses) {
    if (typeof use !== 'string' || !USES.includes(use)) spec.fail('allowedUses', `must be of ${USES.join(', ')}`);
  }
  return uses.length === 0 || uses.includes('Workload');
}
