/**
 * Two connections to one peer: which one stays (RFC 4271 §6.8, RFC 6286 §2.3).
 *
 * Pure. Both ends see the same two connections, know who dialled each, and compare the same identifiers, so both close
 * the same one. The rule looks at who dialled, never at who was faster: "Established wins" makes two strict speakers
 * close both. It is applied as soon as one OPEN has told the peer's identifier (§6.8 allows it for OpenSent), so that
 * the loser is closed before it becomes Established and carries routes.
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
  // A peer that dialled twice has given up the first one.
  const preferred = received === other.initiator || dominant(collision) === received;
  switch (other.state) {
    case 'idle':
      return 'keep-both';
    case 'connect':
    case 'active': // still being dialled: the peer may never see it, so it cannot replace what works
      return preferred ? 'close-other' : 'keep-both';
    case 'open-sent':
    case 'open-confirm':
    case 'established':
      return preferred ? 'close-other' : 'close-received';
  }
}

/** The side whose connection is kept: higher identifier, and between equals the higher AS. */
function dominant({ local, remote }: Collision): Initiator {
  const byId = compareIp(local.routerId, remote.routerId);
  const order = byId === 0 ? local.as - remote.as : byId;
  return order > 0 ? 'local' : 'remote';
}
