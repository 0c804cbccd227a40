/**
 * ROUTE-REFRESH (RFC 2918 §3) asks a peer to send its routes of one family again; with the enhanced form (RFC 7313 §3.2)
 * the answer stands between a begin and an end marker. No outbound route filters (RFC 5291).
 *
 *    0                   1                   2                   3
 *   +-------------------------------+---------------+---------------+
 *   |              AFI              |    Subtype    |      SAFI     |
 *   +-------------------------------+---------------+---------------+
 */
import { WireError } from '../errors.ts';
import { ErrorCode, HEADER_BYTES, MessageType, RefreshSubtype, RouteRefreshSubcode } from '../iana.ts';
import { badLength, finishMessage, startMessage } from './header.ts';
import { readU16 } from './reader.ts';

const WHOLE_BYTES = HEADER_BYTES + 4;

/** RFC 2918 §3, RFC 7313 §3.2. */
export interface RouteRefreshMessage {
  readonly type: 'route-refresh';
  readonly afi: number;
  readonly safi: number;
  /** 0 request, 1 begin (BoRR), 2 end (EoRR); any other value must be ignored by the session · RFC 7313 §5. */
  readonly subtype: number;
}

/**
 * Decodes a whole ROUTE-REFRESH of at least 23 bytes. A longer marker throws 7/1 with the message as data (RFC 7313 §5);
 * a longer request, which only ORF would make, throws 1/2.
 */
export function decodeRouteRefresh(bytes: Uint8Array): RouteRefreshMessage {
  const subtype = bytes[HEADER_BYTES + 2] ?? 0;
  if (bytes.length !== WHOLE_BYTES) {
    if (subtype !== RefreshSubtype.begin && subtype !== RefreshSubtype.end) {
      throw badLength(bytes.length, MessageType.routeRefresh);
    }
    const message = `route-refresh is ${bytes.length} bytes long, expected ${WHOLE_BYTES}`;
    throw new WireError(
      ErrorCode.routeRefreshMessage,
      RouteRefreshSubcode.invalidMessageLength,
      message,
      bytes.slice(),
    );
  }
  return { type: 'route-refresh', afi: readU16(bytes, HEADER_BYTES), safi: bytes[HEADER_BYTES + 3] ?? 0, subtype };
}

export function encodeRouteRefresh(message: RouteRefreshMessage): Uint8Array {
  const { afi, safi, subtype } = message;
  return finishMessage(startMessage(MessageType.routeRefresh).u16(afi).u8(subtype).u8(safi));
}

/** For people, on one line. */
export function formatRouteRefresh(message: RouteRefreshMessage): string {
  const names = ['request', 'begin', 'end'];
  return `ROUTE-REFRESH ${names[message.subtype] ?? `subtype ${message.subtype}`} ${message.afi}/${message.safi}`;
}
