/**
 * The smallest set of prefixes that covers exactly the same addresses: what is inside another goes, and two halves of
 * one prefix become that prefix (route aggregation, RFC 4632 §3.1). Sorting once and merging on a stack is enough,
 * since in that order a covering prefix comes before all it covers and a half just before its sibling.
 */

import { type Bits, maskBits, sameLeading } from './bits.ts';
import { bitsOfPrefix, comparePrefixBits, type Prefix, prefixFromBits } from './prefix.ts';

interface Entry {
  readonly bits: Bits;
  readonly length: number;
}

/** The minimal cover of the prefixes, sorted by comparePrefix; both families may be mixed. O(n log n). */
export function summarise(prefixes: Iterable<Prefix>): Prefix[] {
  const stack: Entry[] = [];
  for (const entry of Array.from(prefixes, bitsOfPrefix).sort(comparePrefixBits)) push(stack, entry);
  return stack.map(({ bits, length }) => prefixFromBits(bits, length));
}

function push(stack: Entry[], entry: Entry): void {
  const top = stack.at(-1);
  if (top === undefined) {
    stack.push(entry);
  } else if (top.length <= entry.length && sameLeading(top.bits, entry.bits, top.length)) {
    // Inside the top already.
  } else if (top.length === entry.length && sameLeading(top.bits, entry.bits, entry.length - 1)) {
    stack.pop();
    push(stack, { bits: maskBits(top.bits, top.length - 1), length: top.length - 1 });
  } else {
    stack.push(entry);
  }
}
