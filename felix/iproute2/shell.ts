/**
 * A few long-lived `sh` coprocesses that run small scripts: everything that must be a fresh process (entering a pod's
 * namespace, reading a table back, one nftables transaction) is forked by them, not by the agent. The agent's loop
 * pays 0.05 ms for it, whatever its size. Scripts are built from checked words only (`quote`); their stdin is empty.
 * Invariant: one script at a time per shell, and a script's end is a marker on both of its outputs.
 */
import type { TimerHandle, Timers } from '#reconcile';
import { FelixError } from '../errors.ts';
import type { Child, StartChild } from './run.ts';

interface ScriptResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Shell {
  /** Runs a script · throws FelixError CHILD_LOST when it exceeds the time or the shell dies, STOPPED after stop. */
  run(script: string): Promise<ScriptResult>;
  stop(): void;
  readonly respawns: number;
}

export interface ShellOptions {
  readonly startChild: StartChild;
  readonly timers: Timers;
  /** Scripts that run at the same time; each costs an idle `sh` of about 1 MB. */
  readonly size: number;
  readonly timeoutMs: number;
}

interface Job {
  readonly script: string;
  readonly resolve: (result: ScriptResult) => void;
  readonly reject: (error: Error) => void;
}

const MARK = '\u001e';

/** Starts the shells at once, while the agent is small. */
export function createShell(options: ShellOptions): Shell {
  const waiting: Job[] = [];
  let stopped = false;
  const next = () => waiting.shift();
  const shells = Array.from({ length: options.size }, () => new OneShell(options, next));
  return {
    run(script) {
      if (stopped) return Promise.reject(new FelixError('STOPPED', 'the shell was stopped'));
      return new Promise((resolve, reject) => {
        const job = { script, resolve, reject };
        const idle = shells.find((shell) => !shell.busy);
        if (idle === undefined) waiting.push(job);
        else idle.begin(job);
      });
    },
    stop() {
      stopped = true;
      for (const job of waiting.splice(0)) job.reject(new FelixError('STOPPED', 'the shell was stopped'));
      for (const shell of shells) shell.stop();
    },
    get respawns() {
      return shells.reduce((sum, shell) => sum + shell.respawns, 0);
    },
  };
}

class OneShell {
  readonly #options: ShellOptions;
  readonly #next: () => Job | undefined;
  #child: Child | undefined;
  #job: Job | undefined;
  #deadline: TimerHandle | undefined;
  #stdout = '';
  #stderr = '';
  respawns = -1;

  constructor(options: ShellOptions, next: () => Job | undefined) {
    this.#options = options;
    this.#next = next;
    this.#child = this.#spawn();
  }

  get busy(): boolean {
    return this.#job !== undefined;
  }

  begin(job: Job): void {
    this.#job = job;
    this.#stdout = '';
    this.#stderr = '';
    this.#child ??= this.#spawn();
    const { timers, timeoutMs } = this.#options;
    this.#deadline = timers.set(() => this.#lost(`no answer within ${timeoutMs} ms`), timeoutMs);
    this.#child.stdin.write(`{ ${job.script}\n} </dev/null\nprintf '\\036%d\\n' $?\nprintf '\\036\\n' >&2\n`);
  }

  stop(): void {
    this.#child?.stdin.end();
    this.#child = undefined;
    this.#finish((job) => job.reject(new FelixError('STOPPED', 'the shell was stopped')));
  }

  #spawn(): Child {
    this.respawns += 1;
    const child = this.#options.startChild('sh', []);
    child.stdout.on('data', (text: string) => {
      this.#stdout += text;
      if (text.includes('\n')) this.#look();
    });
    child.stderr.on('data', (text: string) => {
      this.#stderr += text;
      this.#look();
    });
    void child.ended.then((how) => {
      if (child === this.#child) this.#lost(how);
    });
    return child;
  }

  #look(): void {
    if (!this.#stderr.endsWith(`${MARK}\n`) || !this.#stdout.endsWith('\n')) return;
    const mark = this.#stdout.lastIndexOf(MARK);
    if (mark < 0) return;
    const code = Number(this.#stdout.slice(mark + 1));
    const result = { code, stdout: this.#stdout.slice(0, mark), stderr: this.#stderr.slice(0, -2) };
    this.#finish((job) => job.resolve(result));
  }

  #lost(how: string): void {
    this.#child?.kill();
    this.#child = undefined;
    this.#finish((job) => job.reject(new FelixError('CHILD_LOST', `sh coprocess lost: ${how}`)));
  }

  #finish(tell: (job: Job) => void): void {
    if (this.#deadline !== undefined) this.#options.timers.clear(this.#deadline);
    this.#deadline = undefined;
    const job = this.#job;
    this.#job = undefined;
    if (job !== undefined) tell(job);
    const more = this.#next();
    if (more !== undefined) this.begin(more);
  }
}

/** A word for `sh`, whatever it holds. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
