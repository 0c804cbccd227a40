/**
 * Which prefix ranges of a policy a prefix is in, as a small number: prefixes of one class get the same verdict for the
 * same route, so rules are walked once per (route, class) and not once per prefix.
 *
 * Pure. A policy sees a prefix only through the ranges of its rules and its family; a class is exactly those answers.
 */
import { type Prefix, prefixFamily, prefixToBytes } from '#net';
import type { PrefixTable } from '../rib/prefix-table.ts';
import type { PrefixRange, RoutePolicy } from './policy.ts';

interface Range {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** Of an IPv4 range: the first word and what of it counts. */
  readonly word: number;
  readonly mask: number;
  readonly length: number;
  readonly min: number;
  readonly max: number;
}

export class PrefixClasses {
  readonly #ranges: readonly Range[];
  readonly #scratch = new Uint8Array(17);
  /** Numbers of classes of policies with more ranges than a number has bits. */
  readonly #wide = new Map<string, number>();

  constructor(policy: RoutePolicy) {
    this.#ranges = policy.rules.flatMap(({ match }) => match.prefixes ?? []).map(toRange);
  }

  /** The class of a prefix, never negative. */
  classOf(table: PrefixTable, id: number): number {
    const family = table.family(id);
    if (this.#ranges.length > 28) return this.#wideClass(table, id);
    let answer = family === 4 ? 1 : 2;
    let bit = 4;
    for (const range of this.#ranges) {
      if (this.#holds(range, table, id)) answer |= bit;
      bit <<= 1;
    }
    return answer;
  }

  #wideClass(table: PrefixTable, id: number): number {
    let key = String(table.family(id));
    for (const range of this.#ranges) key += this.#holds(range, table, id) ? '1' : '0';
    const known = this.#wide.get(key);
    if (known !== undefined) return known;
    this.#wide.set(key, this.#wide.size);
    return this.#wide.size - 1;
  }

  #holds(range: Range, table: PrefixTable, id: number): boolean {
    const length = table.length(id);
    if (length < range.min || length > range.max || length < range.length) return false;
    if (table.family(id) !== range.family) return false;
    if (((table.firstWord(id) ^ range.word) & range.mask) !== 0) return false;
    return range.length <= 32 || this.#sameBits(range, table, id);
  }

  #sameBits({ bytes, length }: Range, table: PrefixTable, id: number): boolean {
    table.writeNlri(id, this.#scratch, 0);
    const whole = length >>> 3;
    for (let at = 0; at < whole; at += 1) if (this.#scratch[at + 1] !== bytes[at]) return false;
    const left = length & 7;
    return left === 0 || (((this.#scratch[whole + 1] ?? 0) ^ (bytes[whole] ?? 0)) & (0xff00 >>> left)) === 0;
  }
}

function toRange({ prefix, minLength, maxLength }: PrefixRange): Range {
  const bytes = prefixToBytes(prefix);
  const length = lengthOf(prefix);
  let word = 0;
  for (let at = 0; at < 4; at += 1) word |= (bytes[at] ?? 0) << (24 - 8 * at);
  const ones = Math.min(length, 32);
  const mask = ones === 0 ? 0 : -1 << (32 - ones);
  return { family: prefixFamily(prefix), bytes, word, mask, length, min: minLength, max: maxLength };
}

function lengthOf(prefix: Prefix): number {
  return Number(prefix.slice(prefix.lastIndexOf('/') + 1));
}
