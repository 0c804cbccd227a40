/**
 * The 19 octets in front of every message (RFC 4271 §4.1) and what §6.1 says of them: after decodeHeader the length is
 * one that messages of this type may have, so the decoders behind it may rely on their fixed fields being there.
 *
 *    0                   1                   2                   3
 *   +---------------------------------------------------------------+
 *   |                                                               |
 *   |                     Marker (16 octets of 0xff)                |
 *   |                                                               |
 *   +-------------------------------+---------------+---------------+
 *   |          Length (whole)       |      Type     |  body …
 *   +-------------------------------+---------------+
 */
import { WireError } from '../errors.ts';
import {
  ErrorCode,
  HEADER_BYTES,
  HeaderSubcode,
  MAX_EXTENDED_MESSAGE_BYTES,
  MAX_MESSAGE_BYTES,
  MessageType,
} from '../iana.ts';
import { readU16 } from './reader.ts';
import { Writer } from './writer.ts';

const MARKER_BYTES = 16;

export interface Header {
  /** Whole message, header included. */
  readonly length: number;
  readonly type: number;
}

interface LengthRule {
  readonly min: number;
  readonly max: number;
}

/** Lengths per type · RFC 4271 §6.1, RFC 2918 §3; RFC 8654 §3 leaves OPEN and KEEPALIVE at the old limit. */
const LENGTHS: ReadonlyMap<number, LengthRule> = new Map([
  [MessageType.open, { min: 29, max: MAX_MESSAGE_BYTES }],
  [MessageType.update, { min: 23, max: MAX_EXTENDED_MESSAGE_BYTES }],
  [MessageType.notification, { min: 21, max: MAX_EXTENDED_MESSAGE_BYTES }],
  [MessageType.keepalive, { min: HEADER_BYTES, max: HEADER_BYTES }],
  [MessageType.routeRefresh, { min: 23, max: MAX_EXTENDED_MESSAGE_BYTES }],
]);

/** The most bytes one message may have in this session. */
export function maxMessageBytes(extendedMessages: boolean): number {
  return extendedMessages ? MAX_EXTENDED_MESSAGE_BYTES : MAX_MESSAGE_BYTES;
}

/** Reads and checks the header at `offset`, where 19 bytes must be; throws WireError 1/1, 1/2 or 1/3 · RFC 4271 §6.1. */
export function decodeHeader(bytes: Uint8Array, offset: number, extendedMessages: boolean): Header {
  for (let at = offset; at < offset + MARKER_BYTES; at += 1) {
    if (bytes[at] !== 0xff) throw headerError(HeaderSubcode.connectionNotSynchronized, 'marker is not all ones');
  }
  const length = readU16(bytes, offset + MARKER_BYTES);
  const type = bytes[offset + MARKER_BYTES + 2] ?? 0;
  if (length < HEADER_BYTES || length > maxMessageBytes(extendedMessages)) throw badLength(length, type);
  const rule = LENGTHS.get(type);
  if (rule === undefined) {
    throw headerError(HeaderSubcode.badMessageType, `message type ${type} is unknown`, Uint8Array.of(type));
  }
  if (length < rule.min || length > rule.max) throw badLength(length, type);
  return { length, type };
}

/** The error for a length no message of this type may have; data is the length field · RFC 4271 §6.1. */
export function badLength(length: number, type: number): WireError {
  const data = Uint8Array.of(length >>> 8, length & 0xff);
  return headerError(HeaderSubcode.badMessageLength, `message length ${length} is impossible for type ${type}`, data);
}

/** A writer that holds the header of a message of this type; finishMessage fills in the length. */
export function startMessage(type: number): Writer {
  const writer = new Writer();
  for (let count = 0; count < MARKER_BYTES; count += 1) writer.u8(0xff);
  return writer.u16(0).u8(type);
}

/** The whole message; throws RangeError when it is longer than any message may be, which is our own fault. */
export function finishMessage(writer: Writer): Uint8Array {
  if (writer.length > MAX_EXTENDED_MESSAGE_BYTES) {
    throw new RangeError(`message of ${writer.length} bytes: expected at most ${MAX_EXTENDED_MESSAGE_BYTES}`);
  }
  return writer.patchU16(MARKER_BYTES, writer.length).finish();
}

function headerError(subcode: number, message: string, data?: Uint8Array): WireError {
  return new WireError(ErrorCode.messageHeader, subcode, message, data);
}
