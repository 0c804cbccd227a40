/**
 * NOTIFICATION, the last message of a session (RFC 4271 §4.5): why it ends. Any code and data decode, since a
 * NOTIFICATION is never answered with one (§6.4); unknown codes are shown by number.
 *
 *    0                   1                   2                   3
 *   +---------------+---------------+-------------------------------+
 *   |  Error code   | Error subcode |  Data (to the message's end)  |
 *   +---------------+---------------+-------------------------------+
 */
import { CeaseSubcode, ErrorCode, HEADER_BYTES, MAX_MESSAGE_BYTES, MessageType } from '../iana.ts';
import { finishMessage, startMessage } from './header.ts';
import { formatHex } from './hex.ts';

/** Room for data when nothing more than the plain limit may be assumed of the peer. */
const MAX_DATA_BYTES = MAX_MESSAGE_BYTES - HEADER_BYTES - 2;
/** RFC 9003 §2: 255 octets of UTF-8 behind one length octet. */
const MAX_TEXT_BYTES = 255;

/** RFC 4271 §4.5. */
export interface NotificationMessage {
  readonly type: 'notification';
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** What the registry calls a code and its subcodes 1, 2, 3… · IANA "BGP Error (Notification) Codes". */
const NAMES: ReadonlyMap<number, { readonly name: string; readonly subcodes: readonly string[] }> = new Map([
  [
    ErrorCode.messageHeader,
    {
      name: 'message header error',
      subcodes: ['connection not synchronized', 'bad message length', 'bad message type'],
    },
  ],
  [
    ErrorCode.openMessage,
    {
      name: 'open message error',
      subcodes: [
        'unsupported version number',
        'bad peer as',
        'bad bgp identifier',
        'unsupported optional parameter',
        'authentication failure',
        'unacceptable hold time',
        'unsupported capability',
        'deprecated subcode 8',
        'deprecated subcode 9',
        'deprecated subcode 10',
        'role mismatch',
      ],
    },
  ],
  [
    ErrorCode.updateMessage,
    {
      name: 'update message error',
      subcodes: [
        'malformed attribute list',
        'unrecognized well-known attribute',
        'missing well-known attribute',
        'attribute flags error',
        'attribute length error',
        'invalid origin attribute',
        'as routing loop',
        'invalid next_hop attribute',
        'optional attribute error',
        'invalid network field',
        'malformed as_path',
      ],
    },
  ],
  [ErrorCode.holdTimerExpired, { name: 'hold timer expired', subcodes: [] }],
  [
    ErrorCode.finiteStateMachine,
    {
      name: 'finite state machine error',
      subcodes: [
        'unexpected message in open-sent',
        'unexpected message in open-confirm',
        'unexpected message in established',
      ],
    },
  ],
  [
    ErrorCode.cease,
    {
      name: 'cease',
      subcodes: [
        'maximum number of prefixes reached',
        'administrative shutdown',
        'peer de-configured',
        'administrative reset',
        'connection rejected',
        'other configuration change',
        'connection collision resolution',
        'out of resources',
        'hard reset',
        'bfd down',
      ],
    },
  ],
  [ErrorCode.routeRefreshMessage, { name: 'route-refresh message error', subcodes: ['invalid message length'] }],
  [ErrorCode.sendHoldTimerExpired, { name: 'send hold timer expired', subcodes: [] }],
]);

/** Decodes a whole NOTIFICATION whose header was checked; never throws. */
export function decodeNotification(bytes: Uint8Array): NotificationMessage {
  return {
    type: 'notification',
    code: bytes[HEADER_BYTES] ?? 0,
    subcode: bytes[HEADER_BYTES + 1] ?? 0,
    data: bytes.slice(HEADER_BYTES + 2),
  };
}

/** Encodes a whole NOTIFICATION; data beyond 4,075 bytes is cut, since the peer may not take more. */
export function encodeNotification(message: NotificationMessage): Uint8Array {
  const writer = startMessage(MessageType.notification).u8(message.code).u8(message.subcode);
  return finishMessage(writer.bytes(message.data.subarray(0, MAX_DATA_BYTES)));
}

/** For people: names, numbers, and the text of a shutdown or else the data in hexadecimal. */
export function formatNotification(message: NotificationMessage): string {
  const { code, subcode, data } = message;
  const text = shutdownCommunication(message);
  const tail = text === undefined ? formatHex(data) : JSON.stringify(text);
  return `NOTIFICATION ${code}/${subcode} ${describeError(code, subcode)}${tail === '' ? '' : `: ${tail}`}`;
}

/** The registry's words for a code and subcode. */
export function describeError(code: number, subcode: number): string {
  const entry = NAMES.get(code);
  if (entry === undefined) return 'unknown error';
  if (subcode === 0) return entry.name;
  return `${entry.name}, ${entry.subcodes[subcode - 1] ?? 'unknown subcode'}`;
}

/**
 * The operator's words in a Cease for shutdown or reset, undefined when there are none · RFC 9003 §2.
 * Control characters are replaced: the text goes to logs and terminals.
 */
export function shutdownCommunication(message: NotificationMessage): string | undefined {
  const { code, subcode, data } = message;
  const carriesText = subcode === CeaseSubcode.administrativeShutdown || subcode === CeaseSubcode.administrativeReset;
  const length = data[0] ?? 0;
  if (code !== ErrorCode.cease || !carriesText || length === 0 || length > data.length - 1) return undefined;
  return new TextDecoder().decode(data.subarray(1, 1 + length)).replaceAll(/\p{C}/gu, '\uFFFD');
}

/** NOTIFICATION data that carries `text`, cut at a character to 255 bytes of UTF-8 · RFC 9003 §2. */
export function encodeShutdownText(text: string): Uint8Array {
  const room = new Uint8Array(MAX_TEXT_BYTES);
  const { written } = new TextEncoder().encodeInto(text, room);
  return Uint8Array.of(written, ...room.subarray(0, written));
}
