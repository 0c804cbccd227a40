// Coming back after a restart or a crash: everything this node knew is in the store. One list of affinities and one of
// blocks give the own blocks and the blocks in which addresses are borrowed; what was half done is finished or undone.
//
// A request of the previous life may still be on its way to the store. So every block found here is uncertain until one
// write of ours has passed (warm-block.ts); that write happens here, once per block and restart, and not during an ADD.

import type { Prefix } from '#net';
import { holdings } from './block.ts';
import { isHeldBy, type BlockTable } from './block-table.ts';
import type { BlockClaims } from './claim.ts';
import type { IpamContext } from './context.ts';
import { isIpamError } from './errors.ts';
import { retrying } from './retry.ts';

export interface Recovery {
  readonly context: IpamContext;
  readonly table: BlockTable;
  readonly claims: BlockClaims;
}

/** Fills the table from the store; may be called again at any time. Throws UNAVAILABLE when the store does not answer. */
export async function recoverBlocks(recovery: Recovery, signal: AbortSignal): Promise<void> {
  const { context, table, claims } = recovery;
  const confirmed = await readOwnAffinities(recovery, signal);
  for (const stored of await claims.listBlocks(signal)) {
    const block = stored.value;
    const isOwn = block.affinity === context.node;
    const isUsed = [...holdings(block)].some(({ attribute }) => isHeldBy(context.node, block, attribute.attributes));
    if (isOwn || isUsed) {
      const warm = table.track(stored, true);
      if (warm.revision !== stored.revision) {
        await ignoreGone(warm.refresh(signal));
      }
    }
    if (isOwn && confirmed.delete(block.cidr)) {
      table.setConfirmed(block.cidr, true);
    } else if (isOwn) {
      claims.addUnfinished(block.cidr);
    }
  }
  for (const cidr of confirmed) {
    table.setConfirmed(cidr, false);
    claims.addUnfinished(cidr);
  }
  await claims.finishUnfinished(signal);
  await settleAll(recovery, signal);
}

/** Passes one write through every uncertain block; what fails here is done before the next assignment instead. */
async function settleAll({ context, table }: Recovery, signal: AbortSignal): Promise<void> {
  const outcomes = await Promise.allSettled(table.uncertain().map((block) => block.settle(signal)));
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      context.log.warn('block is not settled yet', { node: context.node, err: outcome.reason });
    }
  }
}

/** CIDRs of our confirmed affinities; the others are noted as unfinished. */
async function readOwnAffinities({ context, claims }: Recovery, signal: AbortSignal): Promise<Set<Prefix>> {
  const listed = await retrying(context, { what: 'list block affinities', signal }, () =>
    context.store.affinities.list({ signal }),
  );
  const confirmed = new Set<Prefix>();
  for (const { value } of listed) {
    if (value.node === context.node && value.state === 'confirmed' && !value.deleted) {
      confirmed.add(value.cidr);
    } else if (value.node === context.node) {
      claims.addUnfinished(value.cidr);
    }
  }
  return confirmed;
}

async function ignoreGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    // A block that is gone has left the table; there is nothing to be certain about any more.
    if (!isIpamError(error, 'NOT_FOUND')) {
      throw error;
    }
  }
}
