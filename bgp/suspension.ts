/**
 * A peer that tells too many prefixes is cut off (RFC 4486 subcode 1): for a time, or until someone clears it. Graceful
 * restart does not apply: what it told goes at once.
 */
import type { Timers } from '#reconcile';
import { CeaseSubcode } from './iana.ts';
import { ceaseFor, type PeerEntry, prefixLimitData, sameValue } from './peer-entry.ts';
import { DEFAULT_PREFIX_LIMIT, DEFAULT_RESTART_SEC, judgeLimit, type PrefixLimit } from './policy/prefix-limit.ts';
import type { PeerSpec, SpeakerConfig, SpeakerLog } from './speaker-types.ts';

export interface SuspensionOptions {
  readonly config: SpeakerConfig;
  readonly timers: Timers;
  readonly log: SpeakerLog;
}

/** Its own, the speaker's, or the one every peer has. */
export function limitOf({ spec }: PeerEntry, config: SpeakerConfig): PrefixLimit {
  return spec.prefixLimit ?? config.prefixLimit ?? DEFAULT_PREFIX_LIMIT;
}

/** The peer has told more: warn once on the way up, and end the session when it went too far. */
export function enforceLimit(entry: PeerEntry, { config, timers, log }: SuspensionOptions): void {
  const limit = limitOf(entry, config);
  const verdict = judgeLimit(limit, entry.exchange.ribIn);
  if (verdict.state === entry.limit) return;
  entry.limit = verdict.state;
  if (verdict.state === 'below') return;
  const { counted, count, limit: most } = verdict;
  const fields = { peer: entry.spec.name, counted, count, limit: most, action: limit.action };
  log.warn(verdict.state === 'warning' ? 'prefix limit is near' : 'prefix limit exceeded', fields);
  if (verdict.state !== 'exceeded' || limit.action === 'warn') return;
  const { action, restartSec = DEFAULT_RESTART_SEC } = limit;
  const until = action === 'restart' ? `for ${restartSec} s` : 'until cleared';
  entry.suspended = action === 'restart' ? timers.set(() => resume(entry, timers), restartSec * 1000) : 'until cleared';
  const cease = ceaseFor(entry, CeaseSubcode.maximumPrefixes, prefixLimitData(most));
  entry.peer.stop(cease, `more than ${most} prefixes ${counted}, stopped ${until}`);
}

/** Limit or policy are others now: a new limit lets a peer that was cut off try again, and counts for one that is up. */
export function reviewLimit(entry: PeerEntry, before: PeerSpec, options: SuspensionOptions): void {
  const isNew = !sameValue(before.prefixLimit, entry.spec.prefixLimit);
  if (isNew && entry.suspended !== undefined) resume(entry, options.timers);
  if (isNew) entry.limit = 'below';
  enforceLimit(entry, options);
}

/** The peer may try again. */
export function resume(entry: PeerEntry, timers: Timers): void {
  forgetSuspension(entry, timers);
  entry.limit = 'below';
  if (entry.refused === undefined) entry.peer.start();
}

export function forgetSuspension(entry: PeerEntry, timers: Timers): void {
  const { suspended } = entry;
  if (suspended !== undefined && suspended !== 'until cleared') timers.clear(suspended);
  entry.suspended = undefined;
}
