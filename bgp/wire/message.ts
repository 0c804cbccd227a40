/**
 * The union of all BGP messages, and the one door between bytes and values: decodeMessage, encodeMessage, formatMessage.
 */
import type { KeepaliveMessage } from './keepalive.ts';
import type { NotificationMessage } from './notification.ts';
import type { OpenMessage } from './open.ts';
import type { RouteRefreshMessage } from './route-refresh.ts';
import type { UpdateMessage } from './update.ts';

export type Message = OpenMessage | UpdateMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage;

// Codec is being filled in; signatures are final:
//   decodeMessage(bytes: Uint8Array, context: WireContext): Message            throws WireError          (message.ts)
//   encodeMessage(message: Message, context: WireContext): Uint8Array          (message.ts) an UPDATE that does not fit one message gives several, concatenated
//   formatMessage(message: Message): string                                    (message.ts)
//   encodeUpdates(changes: Changes, context: WireContext): Uint8Array[]        (pack.ts)
//   encodeEndOfRib(family: Family): Uint8Array                                 (pack.ts)
//   class Framer { extendedMessages: boolean; *push(chunk: Uint8Array): Generator<Uint8Array>; readonly pendingBytes: number }   throws WireError (framing.ts)
//   shutdownCommunication(n: NotificationMessage): string | undefined; encodeShutdownText(text): Uint8Array                      (notification.ts)
export type { AsSegment, PathAttributes } from './attribute/attributes.ts';
export type { Capability } from './capability.ts';
export type { WireContext } from './context.ts';
export type { KeepaliveMessage, NotificationMessage, OpenMessage, RouteRefreshMessage, UpdateMessage };
export type { Announcement, AttributeError } from './update.ts';
