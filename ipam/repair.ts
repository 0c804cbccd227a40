// Doing what the audit proposes, by compare-and-swap: nothing is freed or removed that changed since it was judged.

import { ordinalOf } from '#net';
import type { Repair } from './audit.ts';
import { type Block, isEmpty, ordinalsOf, release } from './block.ts';
import { blockName } from './names.ts';
import type { IpamStore, Revisioned } from './store.ts';

export interface Repairing {
  readonly store: IpamStore;
  readonly now: () => number;
  readonly cooldownSeconds: number;
  /** The blocks that were judged: a change since then, of the address or, to remove one, of the block, refuses the repair. */
  readonly judged: readonly Block[];
}

/** Does one repair; false when the object is not any more what was judged. Throws CONFLICT, UNAVAILABLE. */
export async function doRepair(repair: Repair, context: Repairing, signal: AbortSignal): Promise<boolean> {
  const { store } = context;
  if (repair.kind === 'remove affinity') {
    const stored = await store.affinities.get(repair.name, { signal });
    if (stored === undefined || stored.value.state === 'pending') {
      return false;
    }
    await store.affinities.remove(repair.name, stored.revision, { signal });
    return true;
  }
  const stored = await store.blocks.get(blockName(repair.block), { signal });
  const before = context.judged.find((block) => block.cidr === repair.block);
  if (stored === undefined || before === undefined) {
    return false;
  }
  return repair.kind === 'remove block'
    ? await removeBlock(stored, before, { store, signal })
    : await releaseAddress(repair, { stored, before }, context, signal);
}

async function removeBlock(
  stored: Revisioned<Block>,
  before: Block,
  { store, signal }: { readonly store: IpamStore; readonly signal: AbortSignal },
): Promise<boolean> {
  if (!isEmpty(stored.value) || stored.value.sequenceNumber !== before.sequenceNumber) {
    return false;
  }
  await store.blocks.remove(blockName(before.cidr), stored.revision, { signal });
  return true;
}

async function releaseAddress(
  { ip, handle }: Repair & { readonly kind: 'release' },
  { stored, before }: { readonly stored: Revisioned<Block>; readonly before: Block },
  { store, now, cooldownSeconds }: Repairing,
  signal: AbortSignal,
): Promise<boolean> {
  const block = stored.value;
  const ordinal = ordinalOf(block.cidr, ip);
  const sequenceNumber = before.sequenceNumberForAllocation[String(ordinal)];
  const keep = new Set(ordinalsOf(block, handle).filter((other) => other !== ordinal));
  const request = { handle, keep, cooldownSeconds, ...(sequenceNumber === undefined ? {} : { sequenceNumber }) };
  const result = release(block, request, now());
  if (result.kind === 'refused' || result.ordinals.length === 0) {
    return false;
  }
  await store.blocks.update(blockName(block.cidr), result.block, stored.revision, { signal });
  return true;
}
