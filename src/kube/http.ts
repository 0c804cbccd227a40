/**
 * One HTTP exchange with an API server over node:http or node:https with kept-alive connections.
 *
 * The invariant: every exchange ends, by answer, by the caller's signal, or by its own time limit; and no answer grows without
 * bound. A kept-alive connection that the server closed just as a read was sent on it is retried once on a fresh one, since
 * nothing can have happened; writes are never repeated here.
 */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Connection, RequestParts } from './connection.ts';
import { KubeError } from './errors.ts';

export interface HttpExchange {
  readonly method: string;
  /** Path with query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal;
  /** Time until the headers of the answer are there. */
  readonly timeoutMs: number;
}

/** Longest answer that is read whole: a page of 500 objects of the largest size etcd takes is never met in practice. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** Sends and resolves with the answer once its headers are there. Rejects with KubeError API_UNREACHABLE or the signal's reason. */
export async function exchange(connection: Connection, request: HttpExchange): Promise<IncomingMessage> {
  request.signal.throwIfAborted();
  const { headers, agent } = await connection.prepare();
  const send = (): Promise<Attempt> =>
    attempt(connection.server, { ...request, headers: { ...headers, ...request.headers } }, agent);
  const first = await send();
  if (first.ok) return first.response;
  const second = first.stale && request.method === 'GET' ? await send() : first;
  if (second.ok) return second.response;
  request.signal.throwIfAborted();
  throw unreachable(request, connection.server, second.error);
}

type Attempt =
  | { readonly ok: true; readonly response: IncomingMessage }
  | { readonly ok: false; readonly error: Error; readonly stale: boolean };

function attempt(server: URL, request: HttpExchange, agent: RequestParts['agent']): Promise<Attempt> {
  const send = server.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const outgoing = send(new URL(server.pathname.replace(/\/$/, '') + request.path, server), {
      method: request.method,
      headers: request.headers,
      agent,
      signal: request.signal,
    });
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no answer within ${request.timeoutMs} ms`));
    }, request.timeoutMs);
    outgoing.on('response', (response) => {
      clearTimeout(timer);
      // a connection that breaks later is reported to whoever reads the body; without a reader it must not end the process
      response.on('error', () => undefined);
      resolve({ ok: true, response });
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      resolve({ ok: false, error, stale: outgoing.reusedSocket });
    });
    outgoing.end(request.body);
  });
}

export function unreachable(request: HttpExchange, server: URL, cause: unknown): KubeError {
  const why = cause instanceof Error ? describe(cause) : String(cause);
  return new KubeError(`${request.method} ${server.origin}${request.path}: ${why}`, { code: 'API_UNREACHABLE', cause });
}

/** AggregateError of a host with several addresses has an empty message; its parts say why. */
function describe(error: Error): string {
  const parts: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  const texts = parts.filter((part) => part instanceof Error).map((part) => part.message);
  return texts.length > 0 ? texts.join('; ') : error.message || error.name;
}

/** The whole body as text. Rejects when the connection breaks, `timeoutMs` pass without data, or the body is too long. */
export async function readBody(response: IncomingMessage, timeoutMs: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readChunks(response, timeoutMs)) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new Error(`the answer is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The body as it comes; a silence of `idleMs` destroys the connection and throws. */
export async function* readChunks(response: IncomingMessage, idleMs: number): AsyncGenerator<Buffer> {
  const silent = (): void => {
    response.destroy(new Error(`nothing received for ${idleMs} ms`));
  };
  let timer = setTimeout(silent, idleMs);
  try {
    for await (const chunk of response) {
      clearTimeout(timer);
      yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      timer = setTimeout(silent, idleMs);
    }
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
}
