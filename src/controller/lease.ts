// Leader election on a coordination.k8s.io Lease, the deciding half: a pure state machine with the times of client-go.
//
// Clocks of different machines are not compared: a candidate times, on its own monotonic clock, how long it has seen the
// lease unchanged. A leader counts from before it sent the renewal that succeeded. So a leader that cannot renew stops
// (renewMs after that) before any candidate may take the lease (leaseMs after it saw the renewal, which was later still).
// Invariant: two processes never both lead, however calls are delayed, as long as monotonic clocks run about equally fast.

export interface LeaseTiming {
  /** How long a lease unseen to change is somebody's. */
  readonly leaseMs: number;
  /** How long a leader acts on its last renewal. */
  readonly renewMs: number;
  /** Time between two attempts. */
  readonly retryMs: number;
}

export const defaultTiming: LeaseTiming = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

/** What the Lease says. */
export interface LeaseRecord {
  /** Empty: nobody's. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly transitions: number;
  /** RFC 3339, as it was written; kept by a renewal. */
  readonly acquired: string;
}

/** What one candidate knows. Times are monotonic ms of its own clock. */
export interface Candidacy {
  /** Version of the lease last seen, and when it was first seen so; undefined before the first look. */
  readonly seen: { readonly version: string; readonly atMs: number } | undefined;
  /** When the request of the last renewal that succeeded was sent; undefined when we do not lead. */
  readonly renewedMs: number | undefined;
}

export const newCandidacy: Candidacy = { seen: undefined, renewedMs: undefined };

export type LeaseStep =
  | { readonly kind: 'wait'; readonly holder: string }
  | { readonly kind: 'create'; readonly record: LeaseRecord }
  | { readonly kind: 'write'; readonly record: LeaseRecord };

/** The lease as it was read; undefined: there is none. */
export type LeaseRead = { readonly version: string; readonly record: LeaseRecord } | undefined;

/** What is known after a look at the lease. */
export function look(candidacy: Candidacy, lease: LeaseRead, nowMs: number): Candidacy {
  if (lease === undefined) return { ...candidacy, seen: undefined };
  if (candidacy.seen?.version === lease.version) return candidacy;
  return { ...candidacy, seen: { version: lease.version, atMs: nowMs } };
}

export interface Moment {
  readonly identity: string;
  readonly timing: LeaseTiming;
  readonly nowMs: number;
  /** RFC 3339. */
  readonly wallTime: string;
}

/** What to do about the lease, after `look`. */
export function nextStep(candidacy: Candidacy, lease: LeaseRead, at: Moment): LeaseStep {
  const { identity, timing, nowMs, wallTime } = at;
  const fresh = { holder: identity, leaseMs: timing.leaseMs, acquired: wallTime };
  if (lease === undefined) return { kind: 'create', record: { ...fresh, transitions: 0 } };
  const { record } = lease;
  if (record.holder === identity) return { kind: 'write', record: { ...record, leaseMs: timing.leaseMs } };
  const unchangedMs = nowMs - (candidacy.seen?.atMs ?? nowMs);
  if (record.holder !== '' && unchangedMs < Math.max(record.leaseMs, timing.leaseMs))
    return { kind: 'wait', holder: record.holder };
  return { kind: 'write', record: { ...fresh, transitions: record.transitions + 1 } };
}

/** After our write was acknowledged; `sentMs`: when it was sent. */
export function won(candidacy: Candidacy, version: string, at: { sentMs: number; nowMs: number }): Candidacy {
  return { ...candidacy, seen: { version, atMs: at.nowMs }, renewedMs: at.sentMs };
}

/** After we saw that the lease is somebody else's, or gave it up. */
export function lost(candidacy: Candidacy): Candidacy {
  return { ...candidacy, renewedMs: undefined };
}

/** Until when we may act, monotonic ms; undefined when we do not lead. */
export function leadsUntil({ renewedMs }: Candidacy, { renewMs }: LeaseTiming): number | undefined {
  return renewedMs === undefined ? undefined : renewedMs + renewMs;
}

export function leads(candidacy: Candidacy, timing: LeaseTiming, nowMs: number): boolean {
  const until = leadsUntil(candidacy, timing);
  return until !== undefined && nowMs < until;
}
