/**
 * Address families as the wire names them: IPv4 and IPv6 unicast, the only ones this speaker routes (RFC 4760 §3).
 */
import type { Family } from '#net';
import { Afi, Safi } from '../iana.ts';

/** An address family as it stands in capabilities, MP attributes and ROUTE-REFRESH · RFC 4760 · any registered number. */
export interface AfiSafi {
  readonly afi: number;
  readonly safi: number;
}

/** The wire name of a unicast family. */
export function toAfiSafi(family: Family): AfiSafi {
  return { afi: family === 4 ? Afi.ipv4 : Afi.ipv6, safi: Safi.unicast };
}

/** The unicast family that afi and safi name, or undefined for all we do not route. */
export function fromAfiSafi(afi: number, safi: number): Family | undefined {
  if (safi !== Safi.unicast) return undefined;
  if (afi === Afi.ipv4) return 4;
  return afi === Afi.ipv6 ? 6 : undefined;
}
