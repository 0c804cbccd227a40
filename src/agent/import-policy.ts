// Which routes are believed and which are told, as data for the speaker (DESIGN decision 15). Pure.
//
// Import: inside a pool (a disabled one counts: its addresses live on), never inside or covering one of our own blocks,
// and from a mesh peer only with that node as next hop: one wrong node must not hijack pods. The one exception is a host
// route inside an own block, from a mesh peer for itself: an address it borrowed there. It cannot take a pod of ours away,
// because Felix puts local pods first. A default route or a prefix outside the pools is refused from anyone.
// Export: what we originate, nothing learned.
import type { PolicyRule, PrefixRange, RoutePolicy } from '#bgp';
import { contains, makePrefix, maxLength, prefixAddress, prefixFamily, prefixLength, type Ip, type Prefix } from '#net';

/** The prefix itself and everything inside. */
function inside(prefix: Prefix): PrefixRange {
  return { prefix, minLength: prefixLength(prefix), maxLength: maxLength(prefixFamily(prefix)) };
}

/** The single addresses in a prefix. */
function hostsOf(prefix: Prefix): PrefixRange {
  const length = maxLength(prefixFamily(prefix));
  return { prefix, minLength: length, maxLength: length };
}

function exactly(prefix: Prefix): PrefixRange {
  return { prefix, minLength: prefixLength(prefix), maxLength: prefixLength(prefix) };
}

/** Every prefix between a pool and a block in it, the pool's own included, the block's not. */
function covering(block: Prefix, pools: readonly Prefix[]): readonly Prefix[] {
  const lengths = pools.filter((pool) => contains(pool, block)).map(prefixLength);
  const shortest = Math.min(...lengths);
  if (lengths.length === 0) return [];
  const count = prefixLength(block) - shortest;
  return Array.from({ length: count }, (_, i) => makePrefix(prefixAddress(block), shortest + i));
}

export interface ImportInputs {
  /** CIDRs of all pools, disabled ones too. */
  readonly pools: readonly Prefix[];
  /** Blocks of this node, confirmed or about to be. */
  readonly ownBlocks: readonly Prefix[];
}

/** The import policy; `nextHops` undefined = any next hop (configured peers). */
export function importPolicy(inputs: ImportInputs, nextHops: readonly Ip[] | undefined): RoutePolicy {
  const own = inputs.ownBlocks.map(inside);
  const over = [...new Set(inputs.ownBlocks.flatMap((block) => covering(block, inputs.pools)))].map(exactly);
  const pools = inputs.pools.map(inside);
  const borrowed: PolicyRule[] =
    nextHops === undefined
      ? []
      : [
          {
            name: 'borrowed from a block of this node',
            match: { prefixes: inputs.ownBlocks.map(hostsOf), nextHops },
            action: 'accept',
          },
        ];
  const rules: PolicyRule[] = [
    ...borrowed,
    { name: 'inside a block of this node', match: { prefixes: own }, action: 'reject' },
    { name: 'covers a block of this node', match: { prefixes: over }, action: 'reject' },
    {
      name: 'inside a pool',
      match: nextHops === undefined ? { prefixes: pools } : { prefixes: pools, nextHops },
      action: 'accept',
    },
    { name: 'next hop is not the peer', match: { prefixes: pools }, action: 'reject' },
    { name: 'outside every pool', match: {}, action: 'reject' },
  ];
  return { rules, default: 'reject' };
}

/** The export policy: exactly what this node originates. */
export function exportPolicy(originated: readonly Prefix[]): RoutePolicy {
  const rule: PolicyRule = { name: 'originated here', match: { prefixes: originated.map(exactly) }, action: 'accept' };
  return { rules: [rule], default: 'reject' };
}
