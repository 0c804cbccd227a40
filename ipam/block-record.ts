// Blocks as the store has them, with the doubt due to what came from outside: a block whose parts contradict each other is
// never assigned from, released in or repaired. It is reported, its range stays taken, and everything else goes on.

import type { Prefix } from '#net';
import { type Block, blockFaults } from './block.ts';
import type { IpamContext } from './context.ts';
import { IpamError } from './errors.ts';
import { blockName } from './names.ts';
import type { Revisioned } from './store.ts';

/** The block of a CIDR, or undefined. Throws CORRUPT when it contradicts itself or its name. */
export async function readBlock(
  context: IpamContext,
  cidr: Prefix,
  signal: AbortSignal,
): Promise<Revisioned<Block> | undefined> {
  const stored = await context.store.blocks.get(blockName(cidr), { signal });
  if (stored !== undefined && stored.value.cidr !== cidr) {
    throw new IpamError('CORRUPT', `block ${blockName(cidr)}: cidr is ${stored.value.cidr}, expected ${cidr}`);
  }
  const [fault] = stored === undefined ? [] : blockFaults(stored.value);
  if (fault !== undefined) {
    throw new IpamError('CORRUPT', `block ${cidr}: ${fault}`);
  }
  return stored;
}

/** Parts a list into sound blocks and the others, which are reported. */
export function soundBlocks(context: IpamContext, listed: readonly Revisioned<Block>[]): readonly Revisioned<Block>[] {
  return listed.filter(({ value }) => {
    const [fault] = blockFaults(value);
    if (fault !== undefined) {
      context.log.warn('block contradicts itself and is left alone', { block: value.cidr, reason: fault });
    }
    return fault === undefined;
  });
}
