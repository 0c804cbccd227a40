/** IPAMConfiguration (crds/ipamconfigurations.yaml): the one named default, how addresses are handed out. */
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';

export interface IPAMConfiguration {
  readonly name: string;
  readonly strictAffinity: boolean;
  readonly autoAllocateBlocks: boolean;
  /** Per family; 0 = any number. */
  readonly maxBlocksPerHost: number;
  readonly cooldownSec: number;
}

/** What holds while there is no object. */
export const DEFAULT_IPAM_CONFIGURATION: IPAMConfiguration = {
  name: 'default',
  strictAffinity: false,
  autoAllocateBlocks: true,
  maxBlocksPerHost: 0,
  cooldownSec: 0,
};

export function parseIPAMConfiguration(object: KubeObject): ParseResult<IPAMConfiguration> {
  return parseFields(object, readIPAMConfiguration);
}

function readIPAMConfiguration(object: Fields): IPAMConfiguration {
  const fallback = DEFAULT_IPAM_CONFIGURATION;
  const spec = object.fields('spec');
  const name = object.fields('metadata').requiredText('name');
  if (name !== fallback.name) return object.fields('metadata').fail('name', 'must be default');
  const strictAffinity = spec.flag('strictAffinity', fallback.strictAffinity);
  const autoAllocateBlocks = spec.flag('autoAllocateBlocks', fallback.autoAllocateBlocks);
  if (!autoAllocateBlocks && !strictAffinity) return spec.fail('autoAllocateBlocks', 'false needs strictAffinity true');
  const maxBlocksPerHost = spec.integer('maxBlocksPerHost', { min: 0, max: 1_000_000 }) ?? fallback.maxBlocksPerHost;
  const cooldownSec = spec.integer('ipCooldownSeconds', { min: 0, max: 1200 }) ?? fallback.cooldownSec;
  return { name, strictAffinity, autoAllocateBlocks, maxBlocksPerHost, cooldownSec };
}
