/** One configured or admitted peer with all that belongs to it, and how its session is ended. */
import type { TimerHandle } from '#reconcile';
import type { Exchange } from './exchange.ts';
import { CeaseSubcode, ErrorCode } from './iana.ts';
import type { LimitVerdict } from './policy/prefix-limit.ts';
import { notification } from './session/fsm.ts';
import { hardReset } from './session/graceful-restart.ts';
import type { LocalParameters } from './session/negotiate.ts';
import type { Peer } from './session/peer.ts';
import type { SocketOptions } from './session/transport.ts';
import type { PeerSpec, SpeakerConfig } from './speaker-types.ts';
import { toAfiSafi } from './wire/family.ts';
import { encodeShutdownText, type NotificationMessage } from './wire/notification.ts';

/** How often it is looked whether an admitted peer is gone. */
export const FORGET_MS = 5_000;

export interface PeerEntry {
  spec: PeerSpec;
  readonly peer: Peer;
  readonly exchange: Exchange;
  sinceMs: number;
  reason: string;
  flaps: number;
  /** Our forwarding state is known to have outlived a session of ours · F bit. */
  wasEstablished: boolean;
  /** Why there may be no session; nothing is dialled or accepted meanwhile. */
  refused: string | undefined;
  /** How near to its prefix limit it was when that last changed. */
  limit: LimitVerdict['state'];
  /** Ended for too many prefixes: until the timer, or until cleared. */
  suspended: TimerHandle | 'until cleared' | undefined;
  /** Name of the range that admitted it. */
  readonly range: string | undefined;
}

/** What the connection must be like; undefined = plain TCP. */
export function socketOptions(spec: PeerSpec): SocketOptions {
  const { password, ttlSecurity, ttl, interface: device } = spec;
  return {
    ...(password === undefined ? {} : { password }),
    ...(ttlSecurity === undefined ? {} : { ttlSecurity }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(device === undefined ? {} : { interface: device }),
  };
}

/** RFC 8538 §3.1: where NOTIFICATIONs keep routes, an intended end has to be a Hard Reset. */
export function ceaseFor({ peer }: PeerEntry, subcode: number, data?: Uint8Array): NotificationMessage {
  const text = subcode === CeaseSubcode.administrativeShutdown ? encodeShutdownText('shutting down') : data;
  const cease = notification(ErrorCode.cease, subcode, text);
  return peer.negotiated?.gracefulRestart?.notification ? hardReset(cease) : cease;
}

/** End its session; none comes until it is started again. */
export function refuse(entry: PeerEntry, reason: string): void {
  entry.reason = `refused: ${reason}`;
  entry.peer.stop(ceaseFor(entry, CeaseSubcode.otherConfigurationChange), entry.reason);
}

/** No session, nothing kept of the last one, and no reason to remember it. */
export function isGone({ peer, exchange, suspended }: PeerEntry): boolean {
  const isDown = peer.state === 'idle' || peer.state === 'active';
  return isDown && exchange.ribIn.stale === 0 && suspended === undefined;
}

/** RFC 4486 §4: address family and upper bound of a Maximum Number of Prefixes Reached. */
export function prefixLimitData(limit: number): Uint8Array {
  const { afi, safi } = toAfiSafi(4);
  const bytes = new Uint8Array(7);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, afi);
  view.setUint8(2, safi);
  view.setUint32(3, limit);
  return bytes;
}

/** What cannot change without a new OPEN or a new connection; a key can, as long as there is one before and after. */
export function sessionPart(spec: PeerSpec): object {
  const { import: _i, export: _e, nextHopSelf: _n, nextHop: _h, description: _d, label: _l, ...rest } = spec;
  const { allowedLocalAs: _a, enforceFirstAs: _f, gracefulShutdown: _g, prefixLimit: _p, password, ...session } = rest;
  return { ...session, isKeyed: password !== undefined };
}

/** Structural equality of plain data whose keys come in a fixed order. */
export function sameValue(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** What goes into our next OPEN to it; `isInStep` = nobody is waited for any more · RFC 4724 §4.1. */
export function localParameters(entry: PeerEntry, config: SpeakerConfig, isInStep: boolean): LocalParameters {
  const { spec, wasEstablished } = entry;
  const { restartTimeSec, restarting } = config.gracefulRestart;
  return {
    as: spec.localAs ?? config.as,
    peerAs: spec.as,
    routerId: config.routerId,
    holdTimeSec: spec.holdTimeSec,
    keepaliveSec: spec.keepaliveSec,
    families: spec.families,
    gracefulRestart: spec.gracefulRestart
      ? { restartTimeSec, restarting: restarting && !isInStep, forwarding: restarting || wasEstablished }
      : undefined,
  };
}
