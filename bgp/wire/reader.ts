/**
 * A cursor over received bytes that cannot leave them: every step is checked, and running out raises the WireError its
 * maker chose, because only the maker knows which NOTIFICATION a missing byte earns. Taken slices alias the input.
 */
import type { WireError } from '../errors.ts';

/** Makes the error for `wanted` bytes when only `left` are there. */
export type Exhausted = (wanted: number, left: number) => WireError;

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #exhausted: Exhausted;
  #offset: number;

  /** Reads bytes[start, end). */
  constructor(bytes: Uint8Array, span: { readonly start: number; readonly end: number }, exhausted: Exhausted) {
    this.#bytes = bytes;
    this.#offset = span.start;
    this.#end = Math.min(span.end, bytes.length);
    this.#exhausted = exhausted;
  }

  get left(): number {
    return this.#end - this.#offset;
  }

  /** The next byte without taking it; undefined at the end. */
  peek(): number | undefined {
    return this.left > 0 ? this.#bytes[this.#offset] : undefined;
  }

  u8(): number {
    const at = this.#advance(1);
    return this.#bytes[at] ?? 0;
  }

  u16(): number {
    const at = this.#advance(2);
    return readU16(this.#bytes, at);
  }

  u32(): number {
    const at = this.#advance(4);
    return readU32(this.#bytes, at);
  }

  /** The next `length` bytes as a view. */
  take(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  #advance(length: number): number {
    const at = this.#offset;
    if (length > this.#end - at) throw this.#exhausted(length, this.#end - at);
    this.#offset = at + length;
    return at;
  }
}

/** Big-endian 16 bits at `at`; bytes past the end count as zero, so callers check lengths first. */
export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Big-endian unsigned 32 bits at `at`; bytes past the end count as zero, so callers check lengths first. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x1_0000 + readU16(bytes, at + 2);
}
