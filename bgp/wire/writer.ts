/**
 * A growing buffer for bytes to send. Writing never fails for want of room; whether a message stays inside its limit is
 * the question of whoever packs it.
 */
export class Writer {
  /** Small on purpose: most writers hold one attribute, and 64 octets need no allocation outside the heap. */
  #bytes = new Uint8Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    writeU16(this.#bytes, at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    writeU16(this.#bytes, at, value >>> 16);
    writeU16(this.#bytes, at + 2, value & 0xffff);
    return this;
  }

  bytes(source: Uint8Array): this {
    const at = this.#grow(source.length);
    this.#bytes.set(source, at);
    return this;
  }

  /** Overwrites two bytes already written: for lengths that are known late. */
  patchU16(at: number, value: number): this {
    writeU16(this.#bytes, at, value);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}

/** Big-endian 16 bits at `at`. */
function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}
