/**
 * The only place that starts processes, and only at boot or after one was lost: a fork of a grown agent stops its event
 * loop for tens of milliseconds (docs/decisions, decision 6). Children live in sessions of their own, so that a Ctrl-C
 * for the agent is not one for them, and end by themselves when the agent is gone, because their stdin is.
 */
import type { Readable, Writable } from 'node:stream';
import { execa } from 'execa';

/** A long-lived child: lines in, text out. */
export interface Child {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves, never rejects, with how it ended, in words. */
  readonly ended: Promise<string>;
  /** Kills it and everything it started. */
  kill(): void;
}

export type StartChild = (file: string, args: readonly string[]) => Child;

/** Starts a child of this machine. A program that is absent shows in `ended`, as any other end does. */
export const startChild: StartChild = (file, args) => {
  const child = execa(file, args, {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    detached: true,
    cleanup: true,
    env: { LC_ALL: 'C' },
  });
  child.stdin.on('error', () => child.kill('SIGKILL'));
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: child.then((result) => {
      if (result.exitCode !== undefined) return `${file} exited with ${result.exitCode}`;
      return result.signal === undefined
        ? `${file} could not be started: ${result.code ?? 'unknown'}`
        : `${file} ended by ${result.signal}`;
    }),
    kill: () => killGroup(child.pid, () => child.kill('SIGKILL')),
  };
};

/** The child leads its process group (detached), so this reaches what it started as well. */
function killGroup(pid: number | undefined, otherwise: () => void): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    otherwise();
  }
}
