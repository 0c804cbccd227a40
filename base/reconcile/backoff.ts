/**
 * How long to wait before trying again: exponential with a ceiling, and jitter that only shortens, so that many nodes
 * that failed together do not come back together and none waits longer than the ceiling.
 */

export interface Backoff {
  /** The delay after the first failure. */
  readonly baseMs: number;
  /** No delay is longer. */
  readonly maxMs: number;
  /** The share of the delay left to chance, 0 (none) to 1 (anything from 0 up). */
  readonly jitter: number;
}

/** Failures past this one add nothing, so the exponent cannot overflow. */
const LAST_DOUBLING = 52;

/** The delay after failure number `attempt` (the first is 1): min(maxMs, baseMs · 2^(attempt - 1)) less jitter. */
export function backoffDelay(attempt: number, { baseMs, maxMs, jitter }: Backoff, random: () => number): number {
  const doublings = Math.min(Math.max(0, attempt - 1), LAST_DOUBLING);
  const delayMs = Math.min(maxMs, baseMs * 2 ** doublings);
  return delayMs * (1 - jitter * random());
}
