/**
 * A map keyed by prefix that also answers which prefixes cover, or lie under, another: longest-prefix match as a router
 * does it. One path-compressed binary tree (Patricia) per family; every node is an entry or a branch with two children,
 * so it holds at most 2n - 1 nodes and each operation walks at most 33 or 129 of them. Iteration is in comparePrefix
 * order whatever the order of insertion. Do not change the map while iterating over it.
 */

import { type Bits, bitAt, commonLength, maskBits, sameLeading } from './bits.ts';
import { type Ip, maxLength } from './ip.ts';
import { bitsOfPrefix, hostPrefix, type Prefix, type PrefixBits } from './prefix.ts';

/** One entry of a PrefixMap. */
export interface PrefixMatch<V> {
  readonly prefix: Prefix;
  readonly value: V;
}

interface Node<V> {
  readonly bits: Bits;
  readonly length: number;
  entry: PrefixMatch<V> | undefined;
  zero: Node<V> | undefined;
  one: Node<V> | undefined;
}

/** Prefix → value with longest match; both families live in one map and never meet. */
export class PrefixMap<V> {
  #roots: { 4: Node<V> | undefined; 6: Node<V> | undefined } = { 4: undefined, 6: undefined };
  #size = 0;

  constructor(entries: Iterable<readonly [Prefix, V]> = []) {
    for (const [prefix, value] of entries) this.set(prefix, value);
  }

  get size(): number {
    return this.#size;
  }

  /** The value stored under exactly this prefix. */
  get(prefix: Prefix): V | undefined {
    return this.#find(bitsOfPrefix(prefix))?.entry?.value;
  }

  /** True when exactly this prefix is stored. */
  has(prefix: Prefix): boolean {
    return this.#find(bitsOfPrefix(prefix))?.entry !== undefined;
  }

  /** Stores the value under the prefix, replacing what was there. */
  set(prefix: Prefix, value: V): this {
    const key = bitsOfPrefix(prefix);
    const node = this.#place(key);
    if (node.entry === undefined) this.#size++;
    node.entry = { prefix, value };
    return this;
  }

  /** Removes the prefix; false when it was not stored. */
  delete(prefix: Prefix): boolean {
    const key = bitsOfPrefix(prefix);
    const path = [...pathTo(this.#roots[key.bits.family], key)];
    const node = path.at(-1);
    if (node?.entry === undefined || node.length !== key.length) return false;
    node.entry = undefined;
    this.#size--;
    this.#prune(node, path.at(-2), path.at(-3));
    return true;
  }

  clear(): void {
    this.#roots = { 4: undefined, 6: undefined };
    this.#size = 0;
  }

  /** The longest stored prefix that contains the address or prefix: the route a router would take. */
  longestMatch(of: Ip | Prefix): PrefixMatch<V> | undefined {
    let longest: PrefixMatch<V> | undefined;
    const key = keyOf(of);
    for (const node of pathTo(this.#roots[key.bits.family], key)) longest = node.entry ?? longest;
    return longest;
  }

  /** Every stored prefix that contains the address or prefix (itself included), shortest first. */
  *covering(of: Ip | Prefix): Generator<PrefixMatch<V>, void> {
    const key = keyOf(of);
    for (const node of pathTo(this.#roots[key.bits.family], key)) if (node.entry !== undefined) yield node.entry;
  }

  /** Every stored prefix inside this one (itself included), in comparePrefix order. */
  *coveredBy(prefix: Prefix): Generator<PrefixMatch<V>, void> {
    const key = bitsOfPrefix(prefix);
    let node = this.#roots[key.bits.family];
    while (node !== undefined && node.length < key.length) node = child(node, key.bits);
    if (node !== undefined && sameLeading(node.bits, key.bits, key.length)) yield* entriesUnder(node);
  }

  *entries(): Generator<readonly [Prefix, V], void> {
    for (const family of [4, 6] as const) {
      const root = this.#roots[family];
      if (root === undefined) continue;
      for (const { prefix, value } of entriesUnder(root)) yield [prefix, value];
    }
  }

  [Symbol.iterator](): Generator<readonly [Prefix, V], void> {
    return this.entries();
  }

  *keys(): Generator<Prefix, void> {
    for (const [prefix] of this.entries()) yield prefix;
  }

  *values(): Generator<V, void> {
    for (const [, value] of this.entries()) yield value;
  }

  #find(key: PrefixBits): Node<V> | undefined {
    let node = this.#roots[key.bits.family];
    while (node !== undefined && node.length < key.length) node = child(node, key.bits);
    return node !== undefined && node.length === key.length && sameLeading(node.bits, key.bits, key.length)
      ? node
      : undefined;
  }

  /** The node of the key, made and linked when absent. */
  #place(key: PrefixBits): Node<V> {
    let parent: Node<V> | undefined;
    let node = this.#roots[key.bits.family];
    while (node !== undefined && node.length < key.length && sameLeading(node.bits, key.bits, node.length)) {
      parent = node;
      node = child(node, key.bits);
    }
    if (node === undefined) return this.#link(parent, leaf(key));
    const shared = Math.min(commonLength(node.bits, key.bits), node.length, key.length);
    if (shared === node.length && shared === key.length) return node;
    const branch: Node<V> =
      shared === key.length ? leaf(key) : leaf({ bits: maskBits(key.bits, shared), length: shared });
    this.#link(parent, branch);
    attach(branch, node);
    return branch.length === key.length ? branch : attach(branch, leaf(key));
  }

  #link(parent: Node<V> | undefined, node: Node<V>): Node<V> {
    if (parent === undefined) this.#roots[node.bits.family] = node;
    else attach(parent, node);
    return node;
  }

  /** Takes out a node that is no entry any more unless it still branches, and then a parent that need not exist. */
  #prune(node: Node<V>, parent: Node<V> | undefined, grandparent: Node<V> | undefined): void {
    if (node.entry !== undefined || (node.zero !== undefined && node.one !== undefined)) return;
    const rest = node.zero ?? node.one;
    if (rest !== undefined || parent === undefined) {
      if (parent === undefined) this.#roots[node.bits.family] = rest;
      else if (rest !== undefined) attach(parent, rest);
      return;
    }
    if (bitAt(node.bits, parent.length) === 0) parent.zero = undefined;
    else parent.one = undefined;
    this.#prune(parent, grandparent, undefined);
  }
}

function keyOf(of: Ip | Prefix): PrefixBits {
  return bitsOfPrefix(isPrefixText(of) ? of : hostPrefix(of));
}

function isPrefixText(of: Ip | Prefix): of is Prefix {
  return of.includes('/');
}

function leaf<V>({ bits, length }: PrefixBits): Node<V> {
  return { bits, length, entry: undefined, zero: undefined, one: undefined };
}

function child<V>(node: Node<V>, bits: Bits): Node<V> | undefined {
  return bitAt(bits, node.length) === 0 ? node.zero : node.one;
}

function attach<V>(parent: Node<V>, node: Node<V>): Node<V> {
  if (bitAt(node.bits, parent.length) === 0) parent.zero = node;
  else parent.one = node;
  return node;
}

/** The nodes from the root down that contain the key. */
function* pathTo<V>(root: Node<V> | undefined, key: PrefixBits): Generator<Node<V>, void> {
  let node = root;
  while (node !== undefined && node.length <= key.length && sameLeading(node.bits, key.bits, node.length)) {
    yield node;
    if (node.length === maxLength(node.bits.family)) return;
    node = child(node, key.bits);
  }
}

/** The entries of a subtree, a node before its children and zero before one: comparePrefix order. */
function* entriesUnder<V>(root: Node<V>): Generator<PrefixMatch<V>, void> {
  const stack: Node<V>[] = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.entry !== undefined) yield node.entry;
    if (node.one !== undefined) stack.push(node.one);
    if (node.zero !== undefined) stack.push(node.zero);
  }
}
