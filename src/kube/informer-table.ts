/**
 * What an informer knows: the objects of one kind, parsed, and those that could not be parsed with the reason.
 *
 * The invariants: an object that becomes invalid keeps its last valid value (until it is deleted, or another object takes its
 * name: the uid tells); an object whose resourceVersion did not change keeps its value, so a relist flaps nothing.
 */
import { type KubeObject, keyOf } from './objects.ts';

export type ParseResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export interface Invalid {
  readonly reason: string;
}

interface Seen {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

export class InformerTable<T> {
  readonly items = new Map<string, T>();
  readonly invalid = new Map<string, Invalid>();
  readonly #seen = new Map<string, Seen>();
  readonly #parse: (object: KubeObject) => ParseResult<T>;

  constructor(parse: (object: KubeObject) => ParseResult<T>) {
    this.#parse = parse;
  }

  /** Takes the object in; false when it is known at this resourceVersion already. */
  put(object: KubeObject): boolean {
    const key = keyOf(object);
    const { uid, resourceVersion } = object.metadata;
    const before = this.#seen.get(key);
    const same = before !== undefined && before.uid === uid;
    if (same && resourceVersion !== undefined && before.resourceVersion === resourceVersion) return false;
    this.#seen.set(key, { uid, resourceVersion });
    const result = this.#tryParse(object);
    if (result.ok) {
      this.items.set(key, result.value);
      this.invalid.delete(key);
      return true;
    }
    if (!same) this.items.delete(key);
    this.invalid.set(key, { reason: result.reason });
    return true;
  }

  /** Forgets the object; false when it was not known. */
  remove(key: string): boolean {
    this.items.delete(key);
    this.invalid.delete(key);
    return this.#seen.delete(key);
  }

  /** Forgets every object that a complete list did not hold; false when there was none. */
  retain(listed: ReadonlySet<string>): boolean {
    const gone = [...this.#seen.keys()].filter((key) => !listed.has(key));
    for (const key of gone) this.remove(key);
    return gone.length > 0;
  }

  #tryParse(object: KubeObject): ParseResult<T> {
    try {
      return this.#parse(object);
    } catch (error) {
      // a parser that throws is a fault of ours, but of one object only: the others go on
      return { ok: false, reason: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
}
