/**
 * Two connections to one peer: which one stays (RFC 4271 §6.8, RFC 6286 §2.3).
 *
 * Pure. Both ends see the same two connections, know who dialled each, and compare the same identifiers, so both close
 * the same one. That stays true when one of them has just become Established: the rule looks at who dialled, never at
 * who was faster, because "Established wins" makes two strict speakers close both.
 */
import { compareIp, type Ip } from '#net';
import type { State } from './fsm.ts';

/** Who dialled the connection. */
export type Initiator = 'local' | 'remote';

export interface Speaker {
  readonly routerId: Ip;
  readonly as: number;
}

export interface Collision {
  readonly local: Speaker;
  readonly remote: Speaker;
  /** Who dialled the connection an OPEN has just come in on. */
  readonly received: Initiator;
  readonly other: { readonly initiator: Initiator; readonly state: State };
}

export type CollisionVerdict = 'keep-both' | 'close-received' | 'close-other';

/** What to do when a valid OPEN arrives while another connection to the same peer exists. */
export function resolveCollision(collision: Collision): CollisionVerdict {
  const { received, other } = collision;
  switch (other.state) {
    case 'idle':
    case 'open-sent': // its OPEN decides: only then both identifiers were seen on both connections
      return 'keep-both';
    case 'connect':
    case 'active': // nothing was said on it yet, so the peer cannot prefer it
      return 'close-other';
    case 'open-confirm':
    case 'established':
      // A peer that dialled twice has given up the first one.
      if (received === other.initiator) return 'close-other';
      return dominant(collision) === received ? 'close-other' : 'close-received';
  }
}

/** The side whose connection is kept: higher identifier, and between equals the higher AS. */
function dominant({ local, remote }: Collision): Initiator {
  const byId = compareIp(local.routerId, remote.routerId);
  const order = byId === 0 ? local.as - remote.as : byId;
  return order > 0 ? 'local' : 'remote';
}
