// The agent's Unix socket: one request line in, one answer line out, then the connection ends.
//
// The folder is 0750 and the socket 0660: who may write to it may wire pods. A socket left by a dead agent is removed; one
// that still answers belongs to a living agent, and we refuse to start. Requests are bounded (1 MiB, 5 s to arrive); a
// request whose client hung up is finished all the same, because half an ADD must be either undone or whole.
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import {
  answerCall,
  CniError,
  cniErrors,
  formatAnswer,
  maxRequestBytes,
  toCniError,
  type CniHandler,
} from '#cni-protocol';
import type { Log } from '#observe';
import { exitCodes, ProgramFault } from '#program';

export interface CniServerOptions {
  readonly path: string;
  /** Answers a request or throws CniError; anything else thrown becomes code 11. */
  readonly handle: CniHandler;
  readonly log: Log;
}

export interface CniServer {
  /** Rejects with ProgramFault when the path cannot be had. */
  readonly start: () => Promise<void>;
  /** Takes no more requests and resolves when those in hand are answered. */
  readonly stop: () => Promise<void>;
}

const requestTimeoutMs = 5000;

export function createCniServer(options: CniServerOptions): CniServer {
  const busy = new Set<Promise<void>>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const done = serve(socket, options);
    busy.add(done);
    void done.finally(() => busy.delete(done));
  });
  return {
    start: () => listen(server, options.path),
    async stop() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        void Promise.all(busy).then(() => resolve());
      });
      await Promise.all(busy);
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    await chmod(dirname(path), 0o750);
    await removeStale(path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => resolve());
    });
    await chmod(path, 0o660);
  } catch (error) {
    if (error instanceof ProgramFault) throw error;
    throw new ProgramFault(exitCodes.system, `cannot listen on ${path}: ${String(error)}`, { cause: error });
  }
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ProgramFault(exitCodes.system, `${path} exists and is not a socket; remove it or set MANX_RUN_DIR`);
  const alive = await new Promise<boolean>((resolve) => {
    const probe = createConnection({ path });
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('close', () => probe.destroy());
    probe.on('connect', () => probe.destroy());
  });
  if (alive) throw new ProgramFault(exitCodes.system, `another agent answers on ${path}; stop it first`);
  await rm(path, { force: true });
}

async function serve(socket: Socket, { handle, log }: CniServerOptions): Promise<void> {
  socket.on('error', (error) => log.debug('CNI client went away', { reason: error.message }));
  const answer = await readLine(socket).then(
    (line) => answerCall(line, handle, (error) => log.error('CNI request failed unexpectedly', { err: error })),
    (error: CniError) => ({ ok: false, stdout: JSON.stringify(toCniError('1.1.0', error)) }),
  );
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.end(formatAnswer(answer), () => socket.destroy());
  });
}

/** Rejects with CniError alone. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const refuse = (message: string): void => reject(new CniError(cniErrors.undecodable, message));
    const timer = setTimeout(() => refuse('the request did not arrive in time'), requestTimeoutMs);
    const settle = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.on('data', (chunk: Buffer) => {
      const end = chunk.indexOf(10);
      chunks.push(end < 0 ? chunk : chunk.subarray(0, end));
      size += chunk.length;
      if (size > maxRequestBytes) refuse(`the request is longer than ${maxRequestBytes} bytes`);
      else if (end >= 0) settle(Buffer.concat(chunks).toString());
    });
    socket.once('end', () => settle(Buffer.concat(chunks).toString()));
    socket.once('close', () => clearTimeout(timer));
  });
}
