// Reserved addresses (kind IPReservation): ranges from which nothing is handed out to a request for just any address. They
// stay in their blocks and keep their place in the queue, so that a reservation that is lifted costs nothing. Who holds an
// address of the range keeps it, and a request for that very address gets it (Calico's rule). [pure]

import {
  addressCount,
  contains,
  ordinalOf,
  overlaps,
  type Prefix,
  PrefixMap,
  prefixAddress,
  prefixLength,
  summarise,
} from '#net';
import type { IsReserved } from './block.ts';

/** Which ordinals of a block are set aside; undefined when none is. */
export function reservedIn(block: Prefix, reserved: readonly Prefix[]): IsReserved | undefined {
  const inside = reserved.filter((range) => overlaps(range, block));
  if (inside.length === 0) {
    return undefined;
  }
  if (inside.some((range) => contains(range, block))) {
    return () => true;
  }
  const spans = inside.map((range) => {
    const first = ordinalOf(block, prefixAddress(range));
    return { first, behind: first + Number(addressCount(range)) };
  });
  return (ordinal) => spans.some(({ first, behind }) => ordinal >= first && ordinal < behind);
}

/** Ranges that leave no address in a block of this size: there is no point in claiming it. */
export function wholeBlocksReserved(reserved: readonly Prefix[], blockSize: number): PrefixMap<true> {
  const wide = summarise(reserved).filter((range) => prefixLength(range) <= blockSize);
  return new PrefixMap(wide.map((range) => [range, true]));
}
