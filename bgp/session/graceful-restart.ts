/**
 * Graceful restart: what a helper keeps, and when a restarting speaker is in step again (RFC 4724, RFC 8538).
 *
 * Pure. A route outlives its session only if the peer announced the capability for its family and the session did not
 * end on purpose; it then waits for the peer's End-of-RIB, the restart time, or the next restart, whichever is first.
 */
import type { Family } from '#net';
import { CeaseSubcode, ErrorCode } from '../iana.ts';
import type { NotificationMessage } from '../wire/notification.ts';
import type { Down } from './fsm.ts';
import type { Negotiated, PeerGracefulRestart } from './negotiate.ts';

/** After the session is back: how long unrefreshed routes may wait for End-of-RIB · RFC 4724 §4.2 asks for a bound. */
export const STALE_SEC = 360;

/** Families whose routes stay as stale when a session ends this way · RFC 4724 §4.2, RFC 8538 §4. */
export function retainedFamilies(down: Down, peer: PeerGracefulRestart | undefined): readonly Family[] {
  if (peer === undefined) return [];
  const families = peer.families.map(({ family }) => family);
  if (isCollision(down)) return families;
  switch (down.cause) {
    case 'connection-lost':
      return families;
    case 'notification-received':
    case 'notification-sent':
      return peer.notification && !isHardReset(down.notification) ? families : [];
    case 'stopped':
      return [];
  }
}

/** Families whose stale routes may wait for End-of-RIB now that the peer is back: F bit set · RFC 4724 §4.2. */
export function preservedFamilies(negotiated: Negotiated): readonly Family[] {
  const families = negotiated.gracefulRestart?.families ?? [];
  const kept = families.filter(({ family, forwarding }) => forwarding && negotiated.families.includes(family));
  return kept.map(({ family }) => family);
}

/** A Cease that ends graceful restart even where the N bit was exchanged wraps the real one · RFC 8538 §3.1. */
export function hardReset(inner: NotificationMessage): NotificationMessage {
  const data = Uint8Array.from([inner.code, inner.subcode, ...inner.data]);
  return { type: 'notification', code: ErrorCode.cease, subcode: CeaseSubcode.hardReset, data };
}

/** The session goes on in the other of two connections: nothing happened to the peer · RFC 4271 §6.8. */
export function isCollision({ notification }: Down): boolean {
  return notification?.code === ErrorCode.cease && notification.subcode === CeaseSubcode.connectionCollisionResolution;
}

function isHardReset(notification: NotificationMessage | undefined): boolean {
  return notification?.code === ErrorCode.cease && notification.subcode === CeaseSubcode.hardReset;
}

/**
 * Which peers a speaker still waits for before what it knows is complete · RFC 4724 §4.1. Peers count from the moment
 * they are configured, so that "nobody has come up yet" is not mistaken for "everybody has told all".
 */
export class Deferral {
  readonly #waiting = new Set<string>();
  #configured = false;
  #over = false;

  /** Nothing is waited for any more; stays so for good. */
  get over(): boolean {
    return this.#over;
  }

  /** Names still waited for. */
  get waiting(): ReadonlySet<string> {
    return this.#waiting;
  }

  /** The peers as now configured; those added before the end are waited for as well. */
  configure(added: Iterable<string>, removed: Iterable<string>): void {
    this.#configured = true;
    if (this.#over) return;
    for (const name of added) this.#waiting.add(name);
    for (const name of removed) this.#waiting.delete(name);
    this.#check();
  }

  /** This peer has told all it had, or cannot be waited for. */
  complete(name: string): void {
    this.#waiting.delete(name);
    this.#check();
  }

  expire(): void {
    this.#over = true;
  }

  #check(): void {
    if (this.#configured && this.#waiting.size === 0) this.#over = true;
  }
}
