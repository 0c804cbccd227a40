/**
 * KEEPALIVE, a header and nothing else (RFC 4271 §4.4): it confirms an OPEN and keeps the hold timer from expiring. That
 * its length is exactly 19 was checked with the header.
 */
import { MessageType } from '../iana.ts';
import { finishMessage, startMessage } from './header.ts';

/** RFC 4271 §4.4. */
export interface KeepaliveMessage {
  readonly type: 'keepalive';
}

export function decodeKeepalive(): KeepaliveMessage {
  return { type: 'keepalive' };
}

export function encodeKeepalive(): Uint8Array {
  return finishMessage(startMessage(MessageType.keepalive));
}

export function formatKeepalive(): string {
  return 'KEEPALIVE';
}
