// The lab's kubelet and init in one: keeps the processes of desired.json running, starts again what dies.
//
// Levels are truth: desired.json says what should run, SIGHUP only hints that it changed. running.json tells everyone
// which pid each process has now. SIGTERM stops all processes with SIGTERM, then SIGKILL after a while, then itself.
// Run as a detached process by `lab up`: node supervisor.ts LAB.
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { labPaths, readDesired, writeJson, type ProcessSpec, type RunningProcess } from './state.ts';

interface Supervised {
  spec: ProcessSpec;
  child: ChildProcess | undefined;
  startedAt: string;
  restarts: number;
  retry: NodeJS.Timeout | undefined;
}

/** A crashed process comes back at once the first time (a DaemonSet pod does), then ever later. */
const firstRestartMs = 100;
const lastRestartMs = 5000;
const killAfterMs = 5000;

const lab = process.argv[2] ?? '';
const paths = labPaths(lab);
const supervised = new Map<string, Supervised>();
let stopping = false;

function writeRunning(): void {
  const running: RunningProcess[] = [];
  for (const [name, entry] of supervised) {
    const pid = entry.child?.pid;
    if (pid !== undefined) running.push({ name, pid, startedAt: entry.startedAt, restarts: entry.restarts });
  }
  writeJson(paths.running, running);
}

function startProcess(entry: Supervised): void {
  const { spec } = entry;
  const log = openSync(join(paths.logs, `${spec.name}.log`), 'a');
  const [program = '', ...args] =
    spec.netns === undefined ? spec.argv : ['ip', 'netns', 'exec', spec.netns, ...spec.argv];
  const child = spawn(program, args, { env: { ...process.env, ...spec.env }, stdio: ['ignore', log, log] });
  entry.child = child;
  entry.startedAt = new Date().toISOString();
  child.on('error', () => onExit(entry));
  child.on('exit', () => onExit(entry));
  writeRunning();
}

function onExit(entry: Supervised): void {
  entry.child = undefined;
  writeRunning();
  if (stopping || supervised.get(entry.spec.name) !== entry || entry.retry !== undefined) return;
  const delay = Math.min(firstRestartMs * 2 ** entry.restarts, lastRestartMs);
  entry.retry = setTimeout(() => {
    entry.retry = undefined;
    entry.restarts += 1;
    if (stopping || supervised.get(entry.spec.name) !== entry) return;
    const wanted = readDesired(lab).find((spec) => spec.name === entry.spec.name);
    // Absent: it was told to end for good, and did. A spec that changed while it ran counts from now on.
    if (wanted === undefined) supervised.delete(entry.spec.name);
    else startProcess(Object.assign(entry, { spec: wanted }));
  }, delay);
}

async function stopProcess(entry: Supervised): Promise<void> {
  clearTimeout(entry.retry);
  const { child } = entry;
  if (child === undefined || child.exitCode !== null) return;
  await new Promise<void>((resolve) => {
    const hard = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    child.once('exit', () => {
      clearTimeout(hard);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** Starts what desired.json has and stops what it has not; a spec that changed takes effect at the next start. */
async function reconcile(): Promise<void> {
  const desired = new Map(readDesired(lab).map((spec) => [spec.name, spec]));
  for (const [name, entry] of supervised) {
    if (desired.has(name)) continue;
    supervised.delete(name);
    await stopProcess(entry);
  }
  for (const [name, spec] of desired) {
    if (supervised.has(name)) continue;
    const entry: Supervised = { spec, child: undefined, startedAt: '', restarts: 0, retry: undefined };
    supervised.set(name, entry);
    startProcess(entry);
  }
  writeRunning();
}

async function stopAll(): Promise<void> {
  stopping = true;
  await Promise.all([...supervised.values()].map(stopProcess));
  process.exit(0);
}

// Handlers first: running.json, which reconcile writes, tells `lab up` that a SIGHUP is safe to send.
let queue: Promise<void> = Promise.resolve();
process.on('SIGHUP', () => {
  queue = queue.then(reconcile);
});
process.on('SIGTERM', () => {
  queue = queue.then(stopAll);
});
queue = queue.then(reconcile);
// Holds the process up while nothing runs yet.
setInterval(() => undefined, 2 ** 30);
