/**
 * A listening socket in another network namespace, served by this process. A socket belongs for life to the namespace
 * it was made in, so a short-lived child started with `ip netns exec NAME` listens there and hands the socket over the
 * IPC channel (SCM_RIGHTS); loopback is brought up by the child's caller, not here. One kubeconfig with
 * http://127.0.0.1:PORT then works in every namespace of the lab. Run as a program, this file is that child.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, type FSWatcher, watch } from 'node:fs';
import { createServer, Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export class NetnsListenerError extends Error {
  readonly code = 'NETNS_LISTENER';
}

const patienceMs = 10_000;
/** Where iproute2 keeps the names of namespaces. */
const namesDirectory = '/run/netns';

/** A listener on 127.0.0.1:`port` inside namespace `name`; throws NetnsListenerError with ip's or listen's words. */
export async function openNetnsListener(name: string, port: number): Promise<Server> {
  const file = fileURLToPath(import.meta.url);
  const child = spawn('ip', ['netns', 'exec', name, process.execPath, file, String(port)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // IPC with handles needs Node's own serialisation; nothing else is inherited from us.
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  try {
    return await receiveServer(child, name);
  } finally {
    child.kill();
  }
}

/**
 * Calls `onGone` with the name of each network namespace that `ip netns del` removes. An open socket keeps a namespace and
 * its links alive after its name is gone, so whoever holds one must hear of it.
 */
export function watchNetnsNames(onGone: (name: string) => void): FSWatcher | undefined {
  if (!existsSync(namesDirectory)) return undefined;
  return watch(namesDirectory, (_event, name) => {
    if (name !== null && !existsSync(join(namesDirectory, name))) onGone(name);
  });
}

function receiveServer(child: ChildProcess, name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const refuse = (why: string): void => {
      reject(new NetnsListenerError(`cannot listen in network namespace ${name}: ${why}`));
    };
    const timer = setTimeout(() => refuse(`no answer within ${patienceMs / 1000} s`), patienceMs);
    const done = (finish: () => void): void => {
      clearTimeout(timer);
      finish();
    };
    child.once('error', (error) => done(() => refuse(`ip could not be started: ${error.message}`)));
    child.once('close', () => done(() => refuse(said.trim().split('\n').at(-1) || 'the helper ended early')));
    child.once('message', (_message, handle) => {
      if (handle instanceof Server) done(() => resolve(handle));
      else done(() => refuse('the helper sent no socket'));
    });
  });
}

/** The child: listens, hands the socket over, and lets it go. */
function runChild(port: number): void {
  const server = createServer();
  server.once('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  server.listen(port, '127.0.0.1', () => {
    process.send?.('listening', server, {}, () => process.disconnect());
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send !== undefined) runChild(Number(process.argv[2]));
