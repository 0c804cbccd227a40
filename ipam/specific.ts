// One very address for a handle (pod annotation ipAddrs). Its block is found, or claimed if there is none, and the address
// taken in one compare-and-swap. Neither a reservation, nor a cool-down, nor a pool's selectors are in the way of a request
// by name; another holder is, and the error names it.

import { containsIp, familyOf, type Ip, makePrefix, ordinalOf, overlaps } from '#net';
import type { AssignedAddress, AssignerParts, Holder } from './assign.ts';
import { assignOrdinal, type AssignOneResult, type BlockAttribute } from './block.ts';
import { IpamError, isIpamError } from './errors.ts';
import { type Pool, whyNeverEligible } from './pool.ts';
import type { Change, WarmBlock } from './warm-block.ts';

/** Rounds in which the block changed hands or went away before we give up. */
const MAX_ROUNDS = 20;

/** Assigns `ip` durably. Throws INVALID_REQUEST, ADDRESS_TAKEN, UNAVAILABLE, CONTENDED or ABORTED. */
export async function assignThis(
  parts: AssignerParts,
  request: Holder & { readonly ip: Ip },
  signal: AbortSignal,
): Promise<AssignedAddress> {
  const { ip, handle } = request;
  const pool = poolAround(parts.context.pools(), ip);
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const block = parts.table.ownAround(ip) ?? (await findOrClaim(parts, { ip, pool }, signal));
    if (block !== undefined && (await takeFrom(block, parts, request, signal))) {
      return { ip, block: block.cidr };
    }
  }
  throw new IpamError('CONTENDED', `address ${ip} for ${handle}: its block changed ${MAX_ROUNDS} times`);
}

/** The pool of an address. Throws INVALID_REQUEST when there is none, or one that gives out nothing. */
function poolAround(pools: readonly Pool[], ip: Ip): Pool {
  const around = pools.filter(({ cidr }) => containsIp(cidr, ip));
  const usable = around.find((pool) => whyNeverEligible(pool) === undefined);
  if (usable !== undefined) {
    return usable;
  }
  const [pool] = around;
  const why =
    pool === undefined
      ? 'is in no pool'
      : `is in pool ${pool.name} (${pool.cidr}), which ${whyNeverEligible(pool) ?? 'cannot be used'}`;
  throw new IpamError('INVALID_REQUEST', `address ${ip}, which the request asks for, ${why}`);
}

/** A block around the address that may be written; undefined when the search must begin again. */
async function findOrClaim(
  { context, table, claims }: AssignerParts,
  { ip, pool }: { readonly ip: Ip; readonly pool: Pool },
  signal: AbortSignal,
): Promise<WarmBlock | undefined> {
  const cidr = makePrefix(ip, pool.blockSize);
  const listed = await claims.listBlocks(signal);
  const stored = listed.find(({ value }) => containsIp(value.cidr, ip));
  if (stored === undefined) {
    const rival = listed.find(({ value }) => overlaps(value.cidr, cidr));
    if (rival !== undefined) {
      throw refused(ip, `no block ${cidr} can be made for it beside block ${rival.value.cidr} of another size`);
    }
    const outcome = await claims.claimThis(cidr, signal);
    if (outcome?.kind === 'none') {
      throw refused(ip, outcome.reason);
    }
    return undefined; // now it is an own block, or somebody else's
  }
  const { affinity } = stored.value;
  if (affinity === context.node) {
    await claims.claimThis(stored.value.cidr, signal); // ours, but not confirmed yet
    return undefined;
  }
  if (context.settings().strictAffinity) {
    const owner = affinity === undefined ? 'no node' : `node ${affinity}`;
    throw refused(ip, `its block ${stored.value.cidr} belongs to ${owner}, and strictAffinity forbids to borrow`);
  }
  const block = table.track(stored, false);
  if (block.revision !== stored.revision) {
    await ignoreGone(block.refresh(signal));
  }
  return block.isOpen ? block : undefined;
}

/** True when the handle holds the address; false when the block is not what it was. Throws ADDRESS_TAKEN. */
async function takeFrom(
  block: WarmBlock,
  { context, table }: AssignerParts,
  { ip, handle, attributes }: Holder & { readonly ip: Ip },
  signal: AbortSignal,
): Promise<boolean> {
  const mustBeOwn = table.isOwn(block);
  const ordinal = ordinalOf(block.cidr, ip);
  const take: Change<AssignOneResult | undefined> = (value) => {
    if (mustBeOwn && value.affinity !== context.node) {
      return { block: value, result: undefined };
    }
    const result = assignOrdinal(value, { handle, attributes, ordinal });
    return { block: result.kind === 'assigned' ? result.block : value, result };
  };
  const outcome = await ignoreGone(block.apply(take, signal));
  if (outcome?.kind === 'refused') {
    throw new IpamError('ADDRESS_TAKEN', `address ${ip} is held by ${describeHolder(outcome.holder)}`);
  }
  return outcome?.kind === 'assigned';
}

function describeHolder(holder: BlockAttribute | undefined): string {
  const { pod, namespace, node } = holder?.attributes ?? {};
  const who = pod === undefined ? 'somebody' : `pod ${namespace ?? '?'}/${pod}`;
  const where = node === undefined ? '' : ` on node ${node}`;
  return `${who}${where} (handle ${holder?.handle ?? 'unknown'})`;
}

function refused(ip: Ip, why: string): IpamError {
  return new IpamError('INVALID_REQUEST', `address ${ip} (IPv${familyOf(ip)}) cannot be had: ${why}`);
}

async function ignoreGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!isIpamError(error, 'NOT_FOUND')) {
      throw error;
    }
    return undefined;
  }
}
