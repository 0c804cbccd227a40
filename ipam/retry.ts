// How IPAM tries again. A conflict is news: read again and try at once, with a little jitter so that racers part. Silence
// is an outage: wait longer, try a few times, then tell the caller, who retries the whole request. Both are bounded.

import { backoffDelay } from '#reconcile';
import { abortedError } from './abort.ts';
import type { IpamContext } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';

const MAX_CONFLICTS = 100; // Calico's datastoreRetries
const MAX_OUTAGES = 5;
const AFTER_CONFLICT = { baseMs: 4, maxMs: 250, jitter: 1 };
const AFTER_OUTAGE = { baseMs: 100, maxMs: 2_000, jitter: 0.5 };

export interface Attempt {
  /** For messages: what is being done to which object. */
  readonly what: string;
  readonly signal: AbortSignal;
}

/**
 * Runs `attempt` until it succeeds. It is told whether this is the first time; later times must begin by reading, since
 * an earlier one may have happened although it failed. CONFLICT, NOT_FOUND and UNAVAILABLE are tried again.
 * Throws CONTENDED, UNAVAILABLE or ABORTED when it gives up, and anything else at once.
 */
export async function retrying<T>(
  context: IpamContext,
  { what, signal }: Attempt,
  attempt: (isFirst: boolean) => Promise<T>,
): Promise<T> {
  for (let conflicts = 0, outages = 0; ; ) {
    if (signal.aborted) {
      throw abortedError(what, signal);
    }
    try {
      return await attempt(conflicts + outages === 0);
    } catch (error) {
      if (signal.aborted) {
        throw abortedError(what, signal);
      }
      if (isIpamError(error, 'CONFLICT', 'NOT_FOUND') && ++conflicts <= MAX_CONFLICTS) {
        await pause(context, { what, signal }, backoffDelay(conflicts, AFTER_CONFLICT, context.random));
      } else if (isIpamError(error, 'UNAVAILABLE') && ++outages <= MAX_OUTAGES) {
        context.log.debug('store did not answer, trying again', { what, attempt: outages, err: error });
        await pause(context, { what, signal }, backoffDelay(outages, AFTER_OUTAGE, context.random));
      } else {
        throw isIpamError(error, 'CONFLICT', 'NOT_FOUND') ? contended(what, error) : error;
      }
    }
  }
}

async function pause(context: IpamContext, { what, signal }: Attempt, delayMs: number): Promise<void> {
  try {
    await context.sleep(delayMs, signal);
  } catch (error) {
    throw signal.aborted ? abortedError(what, signal) : error;
  }
}

function contended(what: string, cause: unknown): IpamError {
  return new IpamError('CONTENDED', `${what}: the object changed ${MAX_CONFLICTS} times while it was written`, cause);
}
