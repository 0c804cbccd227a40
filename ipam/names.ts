// Object names of blocks and affinities: the block's CIDR with `.`, `:` and `/` as dashes, so that the name of a block is
// its lock: two claimers of one CIDR meet in one create. Names are at most 253 characters (Kubernetes object names).

import { createHash } from 'node:crypto';
import type { Prefix } from '#net';

const MAX_NAME = 253;
const HASH_CHARS = 32;

/** Name of the IPAMBlock of a CIDR: `10.64.0.0/26` → `10-64-0-0-26`. */
export function blockName(cidr: Prefix): string {
  return cidr.replaceAll(/[.:/]/g, '-');
}

/** Name of the BlockAffinity of a node and a CIDR: `<node>-<block name>`, its end replaced by a hash when too long. */
export function affinityName(node: string, cidr: Prefix): string {
  const name = `${node}-${blockName(cidr)}`;
  if (name.length <= MAX_NAME) {
    return name;
  }
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_CHARS);
  return `${name.slice(0, MAX_NAME - HASH_CHARS - 1).replace(/[-.]+$/, '')}-${hash}`;
}
