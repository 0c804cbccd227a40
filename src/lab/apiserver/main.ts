/**
 * The embedded API server as a program: `node main.ts --data-dir DIR [--port N] [--crds PATH]… [--netns NAME]…
 * [--unix-socket PATH] [--compact-after-bytes N]`. Prints one line of JSON on stdout when it serves; ends cleanly on SIGTERM and SIGINT. A fault
 * at the start is one sentence on stderr and an exit code: 64 usage, 65 invalid CRD, 69 port taken or namespace
 * missing, 74 data directory.
 */
import { parseArgs } from 'node:util';
import { ControlSocket } from './control-socket.ts';
import { DataDirectoryError } from './commit-log.ts';
import { NetnsListenerError, openNetnsListener, watchNetnsNames } from './netns-listener.ts';
import { ManifestError } from './registry.ts';
import { ApiServer } from './server.ts';

interface Options {
  readonly port: number;
  readonly dataDir: string;
  readonly crds: readonly string[];
  readonly netns: readonly string[];
  readonly unixSocket: string | undefined;
  readonly compactAfterBytes: number;
}

class UsageError extends Error {}

function readOptions(argv: readonly string[]): Options {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        port: { type: 'string', default: '0' },
        'data-dir': { type: 'string' },
        crds: { type: 'string', multiple: true, default: [] },
        netns: { type: 'string', multiple: true, default: [] },
        'unix-socket': { type: 'string' },
        'compact-after-bytes': { type: 'string', default: String(16 * 1024 * 1024) },
      },
    }));
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause));
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError(`--port ${values.port} must be 0 to 65535`);
  const dataDir = values['data-dir'];
  if (dataDir === undefined)
    throw new UsageError('--data-dir is missing: expected the directory that keeps the objects');
  const compactAfterBytes = Number(values['compact-after-bytes']);
  if (!Number.isInteger(compactAfterBytes) || compactAfterBytes < 1) {
    throw new UsageError(`--compact-after-bytes ${values['compact-after-bytes']} must be a positive number`);
  }
  return {
    port,
    dataDir,
    crds: values.crds,
    netns: values.netns,
    unixSocket: values['unix-socket'],
    compactAfterBytes,
  };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const server = new ApiServer({
    dataDir: options.dataDir,
    crds: options.crds,
    compactAfterBytes: options.compactAfterBytes,
    log: (message, fields) => console.error(JSON.stringify({ level: 'error', msg: message, ...describe(fields) })),
    onFailure: (error) => fail(error),
  });
  await server.open();
  const port = await server.listen(options.port);
  let names: ReturnType<typeof watchNetnsNames>;
  const addNetns = async (name: string): Promise<void> => {
    names ??= watchNetnsNames((gone) => server.release(gone));
    server.adopt(name, await openNetnsListener(name, port));
  };
  const removeNetns = async (name: string): Promise<void> => server.release(name);
  for (const name of options.netns) await addNetns(name);
  const control = new ControlSocket({ addNetns, removeNetns, compact: () => server.compact() });
  if (options.unixSocket !== undefined) await control.listen(options.unixSocket);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    names?.close();
    control
      .close()
      .then(() => server.close())
      .then(() => process.exit(0), fail);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  console.log(
    JSON.stringify({ ready: true, url: `http://127.0.0.1:${port}`, port, pid: process.pid, netns: options.netns }),
  );
}

function describe(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? (value.stack ?? value.message) : value,
    ]),
  );
}

const exitCodes: readonly (readonly [(error: Error & { readonly code?: unknown }) => boolean, number])[] = [
  [(error) => error instanceof UsageError, 64],
  [(error) => error instanceof ManifestError, 65],
  [(error) => error instanceof NetnsListenerError || error.code === 'EADDRINUSE', 69],
  [(error) => error instanceof DataDirectoryError, 74],
  [(error) => ['EACCES', 'ENOTDIR', 'EROFS', 'EEXIST', 'ENOSPC'].includes(String(error.code)), 74],
];

function fail(cause: unknown): void {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  console.error(`manx api server: ${error.message}`);
  process.exit(exitCodes.find(([matches]) => matches(error))?.[1] ?? 70);
}

main().catch(fail);
