/**
 * What a session has agreed on, as far as bytes depend on it. The codec keeps no state of its own: the same bytes with
 * the same context always give the same value.
 */
import type { Family } from '#net';

/** Negotiated facts a message must be read and written with · RFC 4760, RFC 6793, RFC 8654, RFC 8950. */
export interface WireContext {
  /** Both sides sent the four-octet AS capability: AS_PATH and AGGREGATOR carry four octets per AS. */
  readonly fourOctetAs: boolean;
  /** Both sides sent the Extended Message capability: messages up to 65,535 bytes. */
  readonly extendedMessages: boolean;
  /** Which attributes are ours to read and to send: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST stay inside an AS. */
  readonly peerType: 'ebgp' | 'ibgp';
  /** Unicast families both sides announced; routes of any other family are ignored. */
  readonly families: readonly Family[];
  /** Both sides sent Extended Next Hop (RFC 8950) for IPv4 unicast: IPv4 routes may have an IPv6 next hop. */
  readonly extendedNextHop?: boolean;
}

/** The context before any OPEN was seen: enough for OPEN, KEEPALIVE and NOTIFICATION. */
export const INITIAL_CONTEXT: WireContext = {
  fourOctetAs: false,
  extendedMessages: false,
  peerType: 'ebgp',
  families: [],
};
