/**
 * The union of all BGP messages, and the one door between bytes and values. Whatever bytes come in, the only error that
 * comes out of decodeMessage is a WireError, which is the NOTIFICATION to send.
 */
import { type Prefix, prefixFamily } from '#net';
import { HEADER_BYTES, MessageType } from '../iana.ts';
import type { WireContext } from './context.ts';
import { badLength, decodeHeader } from './header.ts';
import { decodeKeepalive, encodeKeepalive, formatKeepalive, type KeepaliveMessage } from './keepalive.ts';
import {
  decodeNotification,
  encodeNotification,
  formatNotification,
  type NotificationMessage,
} from './notification.ts';
import { decodeOpen, encodeOpen, formatOpen, type OpenMessage } from './open.ts';
import { type AnnouncedGroup, encodeEndOfRib, encodeUpdates } from './pack.ts';
import type { UpdateDecoder } from './packed-update.ts';
import {
  decodeRouteRefresh,
  encodeRouteRefresh,
  formatRouteRefresh,
  type RouteRefreshMessage,
} from './route-refresh.ts';
import { decodeUpdate, formatUpdate, type UpdateMessage } from './update.ts';

export type Message = OpenMessage | UpdateMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage;

/** Decodes one whole message, header included, a session's UPDATEs by its `updates`; throws WireError · RFC 4271 §6. */
export function decodeMessage(bytes: Uint8Array, context: WireContext, updates?: UpdateDecoder): Message {
  if (bytes.length < HEADER_BYTES) throw badLength(bytes.length, 0);
  const { length, type } = decodeHeader(bytes, 0, context.extendedMessages);
  if (length !== bytes.length) throw badLength(length, type);
  switch (type) {
    case MessageType.open:
      return decodeOpen(bytes);
    case MessageType.update:
      return updates === undefined ? decodeUpdate(bytes, context) : updates.decode(bytes, context);
    case MessageType.notification:
      return decodeNotification(bytes);
    case MessageType.keepalive:
      return decodeKeepalive();
    default: // decodeHeader lets nothing else through
      return decodeRouteRefresh(bytes);
  }
}

/**
 * Encodes a message. An UPDATE becomes as many messages as it needs, one behind the other: none when it has nothing to
 * say, several when it mixes families or does not fit; to send many routes, encodeUpdates packs better.
 */
export function encodeMessage(message: Message, context: WireContext): Uint8Array {
  switch (message.type) {
    case 'open':
      return encodeOpen(message);
    case 'update':
      return encodeUpdate(message, context);
    case 'notification':
      return encodeNotification(message);
    case 'keepalive':
      return encodeKeepalive();
    case 'route-refresh':
      return encodeRouteRefresh(message);
  }
}

/** For people, on one line. */
export function formatMessage(message: Message): string {
  switch (message.type) {
    case 'open':
      return formatOpen(message);
    case 'update':
      return formatUpdate(message);
    case 'notification':
      return formatNotification(message);
    case 'keepalive':
      return formatKeepalive();
    case 'route-refresh':
      return formatRouteRefresh(message);
  }
}

function encodeUpdate(message: UpdateMessage, context: WireContext): Uint8Array {
  if (message.endOfRib !== undefined) return encodeEndOfRib(message.endOfRib);
  const announced = groupAnnounced(message);
  const messages = encodeUpdates({ withdrawn: message.withdrawn, announced }, context);
  const whole = new Uint8Array(messages.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const bytes of messages) {
    whole.set(bytes, at);
    at += bytes.length;
  }
  return whole;
}

/** Announcements by family and next hop, in order of first appearance. */
function groupAnnounced(message: UpdateMessage): AnnouncedGroup[] {
  const { attributes } = message;
  if (message.announced.length === 0) return [];
  if (attributes === undefined) throw new RangeError('update announces routes: expected attributes');
  const groups = new Map<string, Omit<AnnouncedGroup, 'prefixes'> & { readonly prefixes: Prefix[] }>();
  for (const { prefix, nextHop } of message.announced) {
    const family = prefixFamily(prefix);
    const key = `${family} ${nextHop}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { attributes, family, nextHop, prefixes: [prefix] });
    else group.prefixes.push(prefix);
  }
  return [...groups.values()];
}
