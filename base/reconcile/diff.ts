/**
 * What must change so that `actual` becomes `desired`: the middle of every read, diff, apply. Pure, linear, in the order
 * of the inputs; an empty Diff means that nothing is written, which is how a second run stays quiet.
 */

/** Three disjoint sets of keys. `add` and `change.to` hold desired values, `remove` and `change.from` actual ones. */
export interface Diff<K, V> {
  readonly add: ReadonlyMap<K, V>;
  readonly change: ReadonlyMap<K, { readonly from: V; readonly to: V }>;
  readonly remove: ReadonlyMap<K, V>;
}

/** Compares by key, and values of a shared key by `equal`. */
export function diff<K, V>(
  desired: ReadonlyMap<K, V>,
  actual: ReadonlyMap<K, V>,
  equal: (a: V, b: V) => boolean,
): Diff<K, V> {
  const add = new Map<K, V>();
  const change = new Map<K, { readonly from: V; readonly to: V }>();
  const remove = new Map<K, V>();
  for (const [key, to] of desired) {
    const from = actual.get(key);
    if (from === undefined && !actual.has(key)) add.set(key, to);
    else if (!equal(to, from as V)) change.set(key, { from: from as V, to });
  }
  for (const [key, value] of actual) if (!desired.has(key)) remove.set(key, value);
  return { add, change, remove };
}

/** True when nothing differs. */
export function isEmptyDiff(of: Diff<unknown, unknown>): boolean {
  return of.add.size === 0 && of.change.size === 0 && of.remove.size === 0;
}
