/**
 * Starts the embedded API server as the program it is, for tests: a temporary data directory, port 0, one JSON line.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../src/lab/apiserver/main.ts', import.meta.url));
/** The CRDs of the recordings. */
const fixtureCrds = fileURLToPath(new URL('../fixtures/kubernetes-api/crds', import.meta.url));

/** Servers that still run when the tests of a file are over (a test failed half-way) are killed, so that the file ends. */
const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

export interface ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  readonly controlSocket: string;
  readonly child: ChildProcess;
  /** SIGTERM, and waits for the clean end; returns the exit code. */
  stop(): Promise<number | null>;
}

export interface ServerProcessOptions {
  readonly dataDir: string;
  readonly crds?: readonly string[];
  readonly port?: number;
  readonly netns?: readonly string[];
  readonly compactAfterBytes?: number;
}

export async function makeDataDir(): Promise<string> {
  return await mkdtemp(join(tmpdir(), 'mxt-api-'));
}

export async function removeDataDir(dataDir: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
}

/** Resolves when the ready line has come; rejects with stderr when the program ends before that. */
export async function startServer(options: ServerProcessOptions): Promise<ServerProcess> {
  const controlSocket = join(options.dataDir, 'control.sock');
  const crds = (options.crds ?? [fixtureCrds]).flatMap((path) => ['--crds', path]);
  const netns = (options.netns ?? []).flatMap((name) => ['--netns', name]);
  const args = ['--data-dir', join(options.dataDir, 'data'), '--port', String(options.port ?? 0)];
  if (options.compactAfterBytes !== undefined) args.push('--compact-after-bytes', String(options.compactAfterBytes));
  const child = spawn(process.execPath, [program, ...args, ...crds, ...netns, '--unix-socket', controlSocket], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ready = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line)),
    once(child, 'close').then(([code]) => {
      throw new ServerStartError(Number(code), stderr.trim());
    }),
  ]);
  const { url, port, pid }: { url: string; port: number; pid: number } = JSON.parse(ready);
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    return child.exitCode;
  };
  return { url, port, pid, dataDir: options.dataDir, controlSocket, child, stop };
}

/** The program refused to start: its exit code and its sentence. */
export class ServerStartError extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, stderr: string) {
    super(stderr);
    this.exitCode = exitCode;
  }
}
