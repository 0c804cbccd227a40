/**
 * Source NAT at the edge of the pod network, as text for nftables: traffic from a pool with natOutgoing to an address
 * in no pool at all leaves with the node's address; traffic between pods never does. Pure. The text is written exactly
 * as `nft -s list table` prints it, so that comparing the two is the audit.
 */
import { type Family, type Prefix, prefixFamily, summarise } from '#net';
import type { PoolInput } from '../inputs.ts';

/** The whole table, or undefined when nothing is to be masqueraded and the table should not be there. */
export function masqueradeTable(pools: readonly PoolInput[], table: string): string | undefined {
  const families = ([4, 6] as const).filter((family) => natPools(pools, family).length > 0);
  if (families.length === 0) return undefined;
  const sets = families.flatMap((family) => [
    set(
      `all-pools-${family}`,
      family,
      summarise(pools.map((pool) => pool.cidr).filter((cidr) => prefixFamily(cidr) === family)),
    ),
    set(`nat-pools-${family}`, family, natPools(pools, family)),
  ]);
  const rules = families.map((family) => {
    const ip = family === 4 ? 'ip' : 'ip6';
    return `\t\t${ip} saddr @nat-pools-${family} ${ip} daddr != @all-pools-${family} masquerade fully-random`;
  });
  const chain = [
    '\tchain postrouting {',
    '\t\ttype nat hook postrouting priority srcnat; policy accept;',
    ...rules,
    '\t}',
  ];
  return [`table inet ${table} {`, ...sets.flatMap((lines) => [...lines, '']), ...chain, '}'].join('\n');
}

function natPools(pools: readonly PoolInput[], family: Family): readonly Prefix[] {
  return summarise(
    pools.filter((pool) => pool.natOutgoing && prefixFamily(pool.cidr) === family).map((pool) => pool.cidr),
  );
}

function set(name: string, family: Family, elements: readonly Prefix[]): readonly string[] {
  return [
    `\tset ${name} {`,
    `\t\ttype ${family === 4 ? 'ipv4_addr' : 'ipv6_addr'}`,
    '\t\tflags interval',
    `\t\telements = { ${elements.join(', ')} }`,
    '\t}',
  ];
}

/** Text that may differ only in how nft breaks lines: elements of a long set go on several. */
export function sameTable(a: string | undefined, b: string | undefined): boolean {
  return squeeze(a) === squeeze(b);
}

function squeeze(text: string | undefined): string | undefined {
  return text?.replaceAll(/\s+/g, ' ').trim();
}
