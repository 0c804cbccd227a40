// What the lab asks of its supervisor: start it, say what should run, find the pid of a process, stop everything.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  labPaths,
  readDesired,
  readRunning,
  readState,
  writeJson,
  type ProcessSpec,
  type RunningProcess,
} from './state.ts';

const supervisorFile = fileURLToPath(new URL('./supervisor.ts', import.meta.url));

/** Something that should have happened in the lab did not, in the time given. */
export class LabTimeoutError extends Error {}

/** Polls until `probe` gives a value; throws LabTimeoutError with `what` after timeoutMs. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 30_000,
  everyMs = 50,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new LabTimeoutError(`${what}: not within ${timeoutMs / 1000} s`);
    await delay(everyMs);
  }
}

export async function startSupervisor(lab: string): Promise<number> {
  const log = openSync(join(labPaths(lab).logs, 'supervisor.log'), 'a');
  const child = spawn(process.execPath, [supervisorFile, lab], {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
  });
  await once(child, 'spawn');
  child.unref();
  const { pid } = child;
  if (pid === undefined) throw new LabTimeoutError('the supervisor did not start');
  await waitFor('the supervisor', () => (existsSync(labPaths(lab).running) ? true : undefined), 10_000, 10);
  return pid;
}

/** True while `pid` is this lab's supervisor (a pid alone may have been given to a stranger since). */
export function isSupervisor(lab: string, pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.includes(supervisorFile) && words.includes(lab);
  } catch {
    return false;
  }
}

function hintSupervisor(lab: string): void {
  const pid = readState(lab)?.supervisorPid;
  if (pid !== undefined && isSupervisor(lab, pid)) process.kill(pid, 'SIGHUP');
}

/** Replaces or adds processes, and waits until each has a pid. */
export async function runProcesses(lab: string, specs: readonly ProcessSpec[]): Promise<void> {
  const names = new Set(specs.map((spec) => spec.name));
  writeJson(labPaths(lab).desired, [...readDesired(lab).filter((spec) => !names.has(spec.name)), ...specs]);
  hintSupervisor(lab);
  for (const name of names) await waitFor(`process ${name}`, () => findProcess(lab, name), 10_000, 20);
}

/** Sends a signal that ends a process for good: when it has ended by itself, it is not started again. */
export async function retireProcess(lab: string, name: string, signal: NodeJS.Signals): Promise<void> {
  const rest = readDesired(lab).filter((spec) => spec.name !== name);
  writeJson(labPaths(lab).desired, rest);
  const pid = signalProcess(lab, name, signal);
  await waitFor(
    `process ${name} to end after ${signal}`,
    () => (findProcess(lab, name)?.pid === pid ? undefined : true),
    10_000,
    5,
  );
  hintSupervisor(lab);
}

/** Takes an option with its value out of a process's command line, for its next start. */
export function dropArgument(lab: string, name: string, option: readonly [string, string]): void {
  const specs = readDesired(lab).map((spec) => {
    if (spec.name !== name) return spec;
    const at = spec.argv.findIndex((word, i) => word === option[0] && spec.argv[i + 1] === option[1]);
    return at < 0 ? spec : { ...spec, argv: spec.argv.toSpliced(at, 2) };
  });
  writeJson(labPaths(lab).desired, specs);
}

export function findProcess(lab: string, name: string): RunningProcess | undefined {
  return readRunning(lab).find((running) => running.name === name);
}

/** Sends a signal to a process of the lab; the supervisor starts it again when it dies. Returns the pid it had. */
export function signalProcess(lab: string, name: string, signal: NodeJS.Signals): number | undefined {
  const running = findProcess(lab, name);
  if (running === undefined) return undefined;
  process.kill(running.pid, signal);
  return running.pid;
}

/** Ends the supervisor and with it all processes of the lab. */
export async function stopSupervisor(lab: string): Promise<void> {
  const pid = readState(lab)?.supervisorPid;
  if (pid === undefined || !isSupervisor(lab, pid)) return;
  process.kill(pid, 'SIGTERM');
  await waitFor('the supervisor to stop', () => (isSupervisor(lab, pid) ? undefined : true), 15_000, 20);
}
