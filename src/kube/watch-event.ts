/**
 * One line of a watch as a value. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { isKubeObject, isRecord, type KubeObject } from './objects.ts';

export type WatchEvent =
  | { readonly kind: 'put'; readonly object: KubeObject; readonly resourceVersion: string | undefined }
  | { readonly kind: 'remove'; readonly object: KubeObject; readonly resourceVersion: string | undefined }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }
  | {
      readonly kind: 'error';
      readonly status: number;
      readonly message: string;
      readonly retryAfterSec: number | undefined;
    }
  | { readonly kind: 'garbage'; readonly why: string };

/** Text → event; what is no event is `garbage` with the reason, never an exception. */
export function parseWatchLine(line: string): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { kind: 'garbage', why: 'not JSON' };
  }
  if (!isRecord(value)) return { kind: 'garbage', why: 'not a watch event' };
  const { type, object } = value;
  if (type === 'ERROR') return errorEvent(object);
  if (type === 'BOOKMARK') return bookmarkEvent(object);
  if (!isKubeObject(object)) return { kind: 'garbage', why: `event ${String(type)} holds no object` };
  const { resourceVersion } = object.metadata;
  if (type === 'ADDED' || type === 'MODIFIED') return { kind: 'put', object, resourceVersion };
  if (type === 'DELETED') return { kind: 'remove', object, resourceVersion };
  return { kind: 'garbage', why: `unknown event type ${String(type)}` };
}

function errorEvent(object: unknown): WatchEvent {
  const status = isRecord(object) ? object : {};
  const details = isRecord(status['details']) ? status['details'] : {};
  return {
    kind: 'error',
    status: typeof status['code'] === 'number' ? status['code'] : 0,
    message: typeof status['message'] === 'string' ? status['message'] : 'no message',
    retryAfterSec: typeof details['retryAfterSeconds'] === 'number' ? details['retryAfterSeconds'] : undefined,
  };
}

function bookmarkEvent(object: unknown): WatchEvent {
  const metadata = isRecord(object) && isRecord(object['metadata']) ? object['metadata'] : {};
  const resourceVersion = metadata['resourceVersion'];
  if (typeof resourceVersion !== 'string') return { kind: 'garbage', why: 'bookmark without resourceVersion' };
  return { kind: 'bookmark', resourceVersion };
}
