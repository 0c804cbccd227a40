/**
 * How many prefixes a peer may tell, and what follows when it tells more (RFC 4271 §6.7, RFC 4486 subcode 1).
 *
 * Pure. Counted twice: what was received bounds our memory, what the policy accepted bounds the forwarding table.
 */

export interface PrefixLimit {
  /** Prefixes told, refused ones too. */
  readonly received?: number;
  /** Prefixes the import policy accepted. */
  readonly accepted?: number;
  /** Warn from this part of either limit on, 1–100; default 80. */
  readonly warnPercent?: number;
  /** `warn` keeps the session; `restart` ends it with Cease 6/1 for a time, `shutdown` until it is cleared. */
  readonly action: 'warn' | 'restart' | 'shutdown';
  /** How long `restart` waits; default 300 s. */
  readonly restartSec?: number;
}

/** Without a limit of its own a peer gets this: above twice a full Internet table, below what exhausts a node. */
export const DEFAULT_PREFIX_LIMIT: PrefixLimit = { received: 2_000_000, action: 'restart' };
export const DEFAULT_RESTART_SEC = 300;
const DEFAULT_WARN_PERCENT = 80;

export interface LimitVerdict {
  readonly state: 'below' | 'warning' | 'exceeded';
  /** Which count is nearest to its limit. */
  readonly counted: 'received' | 'accepted';
  readonly count: number;
  readonly limit: number;
}

/** Which of the two limits is nearest, and how near · a limit of 5 is exceeded by the sixth prefix. */
export function judgeLimit(limit: PrefixLimit, counts: { received: number; accepted: number }): LimitVerdict {
  const received = verdict('received', counts.received, limit.received);
  const accepted = verdict('accepted', counts.accepted, limit.accepted);
  const nearest = accepted.count / accepted.limit > received.count / received.limit ? accepted : received;
  return { ...nearest, state: stateOf(nearest, limit.warnPercent ?? DEFAULT_WARN_PERCENT) };
}

function verdict(counted: LimitVerdict['counted'], count: number, limit = Number.POSITIVE_INFINITY) {
  return { counted, count, limit };
}

function stateOf({ count, limit }: Omit<LimitVerdict, 'state'>, warnPercent: number): LimitVerdict['state'] {
  if (count > limit) return 'exceeded';
  return Number.isFinite(limit) && count * 100 >= limit * warnPercent && count > 0 ? 'warning' : 'below';
}
