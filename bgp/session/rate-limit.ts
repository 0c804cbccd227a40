/**
 * How often one source may connect: a bucket per address, and a bounded number of buckets.
 *
 * Pure: time is handed in. A source that is turned away does not lengthen its own wait, so that a peer in a restart loop
 * is let in again as soon as the bucket has a token.
 */
import type { Ip } from '#net';

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface RateLimitSettings {
  /** Connections at once. */
  readonly burst: number;
  readonly perSec: number;
  /** Buckets kept; the one longest unused is forgotten first. */
  readonly sources: number;
}

export class RateLimit {
  readonly #buckets = new Map<Ip, Bucket>();
  readonly #settings: RateLimitSettings;

  constructor(settings: RateLimitSettings) {
    this.#settings = settings;
  }

  /** Whether this connection may come in now. */
  admit(source: Ip, nowMs: number): boolean {
    const { burst, perSec, sources } = this.#settings;
    const bucket = this.#buckets.get(source) ?? { tokens: burst, atMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSec);
    bucket.atMs = nowMs;
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= sources) break;
      this.#buckets.delete(oldest);
    }
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
}
