// What `manxctl ipam show` says, as rows: pools, blocks, addresses of a node, one address. Pure.
import { type Block, freeCount, holdings, reservedIn } from '#ipam';
import {
  addressCount,
  contains,
  containsIp,
  type Ip,
  nthAddress,
  ordinalOf,
  overlaps,
  type Prefix,
  summarise,
} from '#net';
import type { IpamState } from './ipam-state.ts';

/** Addresses; `total` as text because an IPv6 pool has more than a number holds exactly. */
export interface Usage {
  readonly total: string;
  readonly inUse: number;
  /** Released and not yet handed out again. */
  readonly cooling: number;
  /** Free, and only for pods that ask for them by name. */
  readonly reserved: string;
  readonly free: string;
}

export interface PoolRow extends Usage {
  readonly pool: string;
  readonly cidr: Prefix;
  readonly blocks: number;
}

export interface BlockRow extends Usage {
  readonly block: Prefix;
  readonly pool: string;
  readonly node: string;
  /** Addresses held by pods of other nodes. */
  readonly borrowed: number;
}

export interface AddressRow {
  readonly ip: Ip;
  readonly pod: string;
  readonly node: string;
  readonly handle: string;
  readonly since: string;
  readonly block: Prefix;
}

export function poolRows(state: IpamState, now: number): readonly PoolRow[] {
  return state.pools.map(({ name, cidr }) => {
    const blocks = state.blocks.filter((block) => contains(cidr, block.cidr));
    const counts = blocks.map((block) => count(block, state, now));
    const sum = (pick: (each: Counts) => number): number => counts.reduce((total, each) => total + pick(each), 0);
    const inUse = sum((each) => each.inUse);
    const cooling = sum((each) => each.cooling);
    const total = addressCount(cidr);
    const reserved = reservedAddresses(cidr, state.reserved) - BigInt(sum((each) => each.heldReserved));
    const free = total - BigInt(inUse + cooling) - reserved;
    const usage = { total: String(total), inUse, cooling, reserved: String(reserved), free: String(free) };
    return { pool: name, cidr, blocks: blocks.length, ...usage };
  });
}

export function blockRows(state: IpamState, now: number, node?: string): readonly BlockRow[] {
  return state.blocks
    .filter((block) => node === undefined || block.affinity === node)
    .map((block) => {
      const { inUse, cooling, reserved } = count(block, state, now);
      const total = block.allocations.length;
      const borrowed = [...holdings(block)].filter(({ attribute }) => {
        const holder = attribute.attributes['node'];
        return holder !== undefined && holder !== block.affinity;
      }).length;
      const pool = state.pools.find(({ cidr }) => contains(cidr, block.cidr))?.name ?? '';
      const usage = {
        total: String(total),
        inUse,
        cooling,
        reserved: String(reserved),
        free: String(total - inUse - cooling - reserved),
      };
      return { block: block.cidr, pool, node: block.affinity ?? '', ...usage, borrowed };
    });
}

/** Addresses held on a node: in its own blocks and borrowed. */
export function addressRows({ blocks }: IpamState, node: string): readonly AddressRow[] {
  return blocks.flatMap((block) =>
    [...holdings(block)]
      .filter(({ attribute }) => (attribute.attributes['node'] ?? block.affinity) === node)
      .map(({ ordinal }) => addressRow(block, ordinal)),
  );
}

/** What is known of one address, in words; `row` when it is held. */
export function explainAddress(
  state: IpamState,
  ip: Ip,
): { readonly row: AddressRow | undefined; readonly text: string } {
  const pool = state.pools.find(({ cidr }) => containsIp(cidr, ip));
  const block = state.blocks.find(({ cidr }) => containsIp(cidr, ip));
  const reserved = state.reserved.some((cidr) => containsIp(cidr, ip)) ? ', reserved' : '';
  const where = pool === undefined ? 'in no pool' : `in pool ${pool.name} (${pool.cidr})`;
  if (block === undefined) return { row: undefined, text: `${ip} is free: ${where}, in no block${reserved}` };
  const owner = block.affinity === undefined ? 'of no node' : `of node ${block.affinity}`;
  const place = `${where}, block ${block.cidr} ${owner}${reserved}`;
  const ordinal = ordinalOf(block.cidr, ip);
  const index = block.allocations[ordinal];
  const attribute = index === null || index === undefined ? undefined : block.attributes[index];
  if (attribute === undefined) return { row: undefined, text: `${ip} is free: ${place}` };
  if (attribute.handle === undefined)
    return { row: undefined, text: `${ip} cools down since ${attribute.releasedAt ?? '?'}: ${place}` };
  const row = addressRow(block, ordinal);
  return { row, text: `${ip} is held by ${row.pod || 'no pod'} on node ${row.node}, handle ${row.handle}: ${place}` };
}

function addressRow(block: Block, ordinal: number): AddressRow {
  const attribute = block.attributes[block.allocations[ordinal] ?? -1];
  const { namespace, pod, node, timestamp } = attribute?.attributes ?? {};
  return {
    ip: nthAddress(block.cidr, ordinal),
    pod: pod === undefined ? '' : `${namespace ?? '?'}/${pod}`,
    node: node ?? block.affinity ?? '',
    handle: attribute?.handle ?? '',
    since: timestamp ?? '',
    block: block.cidr,
  };
}

/** Addresses of a pool that are set aside, whoever holds them. */
function reservedAddresses(pool: Prefix, reserved: readonly Prefix[]): bigint {
  const inside = reserved
    .filter((range) => overlaps(range, pool))
    .map((range) => (contains(range, pool) ? pool : range));
  return summarise(inside).reduce((sum, range) => sum + addressCount(range), 0n);
}

interface Counts {
  readonly inUse: number;
  readonly cooling: number;
  readonly reserved: number;
  /** Set aside, and held or cooling down all the same. */
  readonly heldReserved: number;
}

function count(block: Block, { configuration, reserved }: IpamState, now: number): Counts {
  const inUse = [...holdings(block)].length;
  const free = freeCount(block, configuration.cooldownSec, now);
  const isReserved = reservedIn(block.cidr, reserved) ?? ((): boolean => false);
  const setAside = block.unallocated.filter(isReserved).length;
  const heldReserved = block.allocations.filter((index, ordinal) => index !== null && isReserved(ordinal)).length;
  return { inUse, cooling: block.allocations.length - inUse - free, reserved: setAside, heldReserved };
}
