/** For tests of this folder: an HTTP server on loopback that answers as each test scripts it, and what goes with it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Timers } from '#reconcile';
import { createKubeClient, type KubeClient } from './client.ts';
import type { KubeLog } from './log.ts';

export interface ScriptedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface ScriptedServer {
  readonly url: string;
  readonly requests: readonly ScriptedRequest[];
  readonly client: KubeClient;
  close: () => Promise<void>;
}

export type Script = (request: ScriptedRequest, response: ServerResponse) => void;

export async function startScriptedServer(script: Script): Promise<ScriptedServer> {
  const requests: ScriptedRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://server');
      const request = {
        method: incoming.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
      };
      requests.push(request);
      script(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const { path, remove } =
    await writeKubeconfig(`{"current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],
    "clusters":[{"name":"c","cluster":{"server":"${url}"}}]}`);
  const client = await createKubeClient({ kubeconfig: path, timeoutMs: 5_000 });
  const close = async (): Promise<void> => {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await remove();
  };
  return { url, requests, client, close };
}

export async function writeKubeconfig(text: string): Promise<{ readonly path: string; remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'manx-kube-'));
  const path = join(directory, 'kubeconfig');
  await writeFile(path, text);
  return { path, remove: async () => await rm(directory, { recursive: true }) };
}

export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A Status object as an API server sends it with an error. */
export function status(code: number, reason: string, message = reason): Readonly<Record<string, unknown>> {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

export const realTimers: Timers = {
  now: () => performance.now(),
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

export interface RecordedLog extends KubeLog {
  readonly lines: readonly string[];
}

export function recordLog(): RecordedLog {
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
