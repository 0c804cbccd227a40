/**
 * Reading a raw object field by field. Servers check objects too, but not ours alone decides what a server stores: an object
 * may predate a rule, or a CRD may be older than this program. The invariant: what a kind returns was checked here, and what is
 * wrong is a FieldError that names the field as people write it (`spec.blockSize`).
 */
import { AddressError, type Ip, type Prefix, parseIp, parsePrefix } from '#net';
import { parseSelector, SelectorError } from '#selector';
import type { ParseResult } from './informer-table.ts';
import { isRecord, type JsonRecord, type KubeObject } from './objects.ts';

class FieldError extends Error {
  readonly field: string;

  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`);
    this.name = 'FieldError';
    this.field = field;
  }
}

/** A record and its place in the object. Absent and null are the same: undefined, or the fallback. */
export class Fields {
  readonly #values: JsonRecord;
  readonly #path: string;

  constructor(values: unknown, path: string) {
    if (values !== undefined && values !== null && !isRecord(values)) throw new FieldError(path, 'must be a map');
    this.#values = isRecord(values) ? values : {};
    this.#path = path;
  }

  fail(field: string, problem: string): never {
    throw new FieldError(this.#place(field), problem);
  }

  raw(field: string): unknown {
    return Object.hasOwn(this.#values, field) ? (this.#values[field] ?? undefined) : undefined;
  }

  fields(field: string): Fields {
    return new Fields(this.raw(field), this.#place(field));
  }

  /** Each element of a list of maps; none when the list is absent. */
  each(field: string): readonly Fields[] {
    return this.list(field).map((value, index) => new Fields(value, `${this.#place(field)}[${index}]`));
  }

  list(field: string): readonly unknown[] {
    const value = this.raw(field) ?? [];
    return Array.isArray(value) ? value : this.fail(field, 'must be a list');
  }

  text(field: string): string | undefined {
    const value = this.raw(field);
    return value === undefined || typeof value === 'string' ? value : this.fail(field, 'must be a string');
  }

  requiredText(field: string): string {
    return this.text(field) || this.fail(field, 'is missing');
  }

  flag(field: string, fallback: boolean): boolean {
    const value = this.raw(field) ?? fallback;
    return typeof value === 'boolean' ? value : this.fail(field, 'must be true or false');
  }

  integer(field: string, range: { readonly min: number; readonly max: number }): number | undefined {
    const value = this.raw(field);
    return value === undefined ? undefined : checkInteger(value, range, this.#place(field));
  }

  /** One of `words`, or `fallback` when absent. */
  word<W extends string>(field: string, words: readonly W[], fallback: W): W {
    const value = this.raw(field) ?? fallback;
    return words.find((word) => word === value) ?? this.fail(field, `must be one of ${words.join(', ')}`);
  }

  /** Refuses a field that this version does not honour, by name. */
  refuse(...fields: readonly string[]): void {
    for (const field of fields) if (this.raw(field) !== undefined) this.fail(field, 'is not supported in this version');
  }

  ip(field: string): Ip {
    return this.convert(field, parseIp);
  }

  prefix(field: string): Prefix {
    return this.convert(field, parsePrefix);
  }

  /** A selector, checked; kept as text, so that it can be stored and shown as it was written. */
  selector(field: string): string | undefined {
    if (this.text(field) === undefined) return undefined;
    this.convert(field, parseSelector);
    return this.text(field);
  }

  /** `read` of the required text; its AddressError, SelectorError or RangeError becomes a FieldError. */
  convert<V>(field: string, read: (text: string) => V): V {
    const text = this.requiredText(field);
    try {
      return read(text);
    } catch (error) {
      const known = error instanceof AddressError || error instanceof SelectorError || error instanceof RangeError;
      if (known) return this.fail(field, error.message);
      throw error;
    }
  }

  /** A map of strings such as labels; entries that are no strings are refused. */
  texts(field: string): Readonly<Record<string, string>> {
    const inner = this.fields(field);
    return Object.fromEntries(inner.keys().map((key) => [key, inner.text(key) ?? inner.fail(key, 'must be a string')]));
  }

  keys(): readonly string[] {
    return Object.keys(this.#values);
  }

  #place(field: string): string {
    return this.#path === '' ? field : `${this.#path}.${field}`;
  }
}

export function checkInteger(
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
  place: string,
): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new FieldError(place, `must be a whole number from ${min} to ${max}`);
}

/** Runs a kind's reader; FieldError becomes a reason such as `spec.cidr: "10.0.0.1/8": …`. Other errors are ours and pass. */
export function parseFields<T>(object: KubeObject, read: (fields: Fields, object: KubeObject) => T): ParseResult<T> {
  try {
    return { ok: true, value: read(new Fields(object, ''), object) };
  } catch (error) {
    if (error instanceof FieldError) return { ok: false, reason: error.message };
    throw error;
  }
}
