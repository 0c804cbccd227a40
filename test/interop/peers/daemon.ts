/**
 * What the tests ask of a real BGP daemon: start with a few facts, say what it sees in its own command line, stop. One
 * file per daemon knows its configuration language and its quirks.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import type { Namespace } from '../../support/namespaces.ts';

/** The facts of a configuration; the rest is the same for all. */
export interface DaemonSetup {
  readonly as: number;
  readonly routerId: string;
  /** One neighbour by address, or all addresses of a range. */
  readonly neighbors: readonly Neighbor[];
  /** Own networks. */
  readonly routes4: readonly string[];
  readonly routes6: readonly string[];
  /** Tags each own route with 65001:100, large 65001:1:2 and route target 65001:7. */
  readonly tagged: boolean;
}

export interface Neighbor {
  /** An address, or a prefix to take sessions from. */
  readonly address: string;
  readonly localAddress: string;
  readonly as: number;
  readonly passive: boolean;
  readonly holdTimeSec: number;
  readonly gracefulRestart: boolean;
  /** Next hop for IPv4 routes on an IPv6 session. */
  readonly nextHop4?: string;
}

/** Where an instance lives. */
export interface Place {
  readonly namespace: Namespace;
  readonly dir: string;
  readonly spawn: (at: Namespace, command: readonly string[]) => ChildProcess;
}

export interface Daemon {
  readonly name: string;
  /** Programs that must be installed. */
  readonly programs: readonly string[];
  /** Name and version as the program says. */
  version(): Promise<string>;
  create(place: Place): Instance;
}

export interface Instance {
  /** Resolves when its command line answers; `restart` = come back from a crash with forwarding state kept. */
  start(setup: DaemonSetup, restart?: boolean): Promise<void>;
  /** Processes in order of start; the first is the one that speaks BGP. */
  readonly children: readonly ChildProcess[];
  alive(): boolean;
  /** SIGKILL to all of it. */
  kill(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** Learned prefixes with their AS path. */
  routes(): Promise<ReadonlyMap<string, string>>;
  /** All it says about one prefix, in lower case, communities written 1:2:3. */
  describe(prefix: string): Promise<string>;
  /** All it says about its neighbour. */
  session(): Promise<string>;
  established(): Promise<boolean>;
  /** It keeps routes of a neighbour that is away. */
  helping(): Promise<boolean>;
  /** Its own route is taken back. */
  withdraw(prefix: string): Promise<void>;
  /** Ask the neighbour for all routes again; the reason when it has no way to. */
  refresh(): Promise<string | undefined>;
  /** Administrative shutdown with a text, and back. */
  shutdown(text: string): Promise<void>;
  enable(): Promise<void>;
}

const MAX_TRIES = 5;

/** Runs a command in a namespace; stdout and stderr together, whatever the exit code. */
export function ask(at: Namespace, ...command: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(
      'nsenter',
      [`--net=${at.path}`, ...command],
      { encoding: 'utf8', maxBuffer: 64 << 20, timeout: 10_000 },
      (_error, stdout, stderr) => resolve(stdout + stderr),
    );
  });
}

/** JSON of a command; `fallback` when it goes on saying something else, such as after a crash. */
export async function askJson(at: Namespace, command: readonly string[], fallback: unknown): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    const text = await ask(at, ...command);
    try {
      return JSON.parse(text) as unknown;
    } catch {
      if (tries === MAX_TRIES) return fallback; // a busy control socket is no empty table
    }
  }
}

export function isAlive(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}
