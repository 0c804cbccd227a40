/**
 * Cuts a TCP byte stream into whole BGP messages (RFC 4271 §4.1). The stream may arrive in any pieces; what comes out
 * depends on its bytes alone. Memory is bounded: at most one incomplete message is kept, and its length was checked
 * against the session's limit before room is made for its body.
 */
import { HEADER_BYTES } from '../iana.ts';
import { decodeHeader } from './header.ts';

const NOTHING = new Uint8Array(0);

export class Framer {
  /** Set once both OPENs carried the Extended Message capability; raises the limit to 65,535 bytes · RFC 8654. */
  extendedMessages = false;

  /** The start of a message whose rest has not arrived; `#pendingLength` bytes of it are filled. */
  #pending = NOTHING;
  #pendingLength = 0;

  /** Bytes held back because their message is incomplete. */
  get pendingBytes(): number {
    return this.#pendingLength;
  }

  /**
   * Yields every message that `chunk` completes, header included, as views of `chunk` or of a buffer of their own.
   * Throws WireError 1/1, 1/2 or 1/3 at the first bad header; the framer is of no use after that.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let offset = this.#pendingLength > 0 ? this.#fill(chunk, 0, HEADER_BYTES) : 0;
    if (this.#pendingLength >= HEADER_BYTES) {
      const { length } = decodeHeader(this.#pending, 0, this.extendedMessages);
      offset = this.#fill(chunk, offset, length);
      if (this.#pendingLength < length) return;
      const whole = this.#pending.subarray(0, length);
      this.#pending = NOTHING;
      this.#pendingLength = 0;
      yield whole;
    } else if (this.#pendingLength > 0) {
      return;
    }
    while (chunk.length - offset >= HEADER_BYTES) {
      const { length } = decodeHeader(chunk, offset, this.extendedMessages);
      if (chunk.length - offset < length) break;
      yield chunk.subarray(offset, offset + length);
      offset += length;
    }
    // The rest is copied: the socket may reuse the chunk's memory once this call has returned.
    if (offset < chunk.length) this.#fill(chunk, offset, chunk.length - offset);
  }

  /** Moves bytes of `chunk` into the pending message until that has `wanted`; returns where it stopped reading. */
  #fill(chunk: Uint8Array, from: number, wanted: number): number {
    const count = Math.max(0, Math.min(wanted - this.#pendingLength, chunk.length - from));
    if (this.#pending.length < wanted) {
      const larger = new Uint8Array(wanted);
      larger.set(this.#pending.subarray(0, this.#pendingLength));
      this.#pending = larger;
    }
    this.#pending.set(chunk.subarray(from, from + count), this.#pendingLength);
    this.#pendingLength += count;
    return from + count;
  }
}
