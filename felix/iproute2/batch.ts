/**
 * One long-lived `ip -force -batch -`: a route costs 0.07 ms acknowledged, 88,000 a second in bulk. It applies each line
 * at once and says nothing on success, so a request ends with a line the kernel must refuse; "Command failed -:N" with
 * that line's number says that all before it is done. Other such lines are the errors of their lines.
 * Two traps (measured): a parse error ends the child even with -force, so lines come from the typed codecs alone; and
 * it remembers interface indexes by name, so it is started afresh when a name it used now means another interface.
 */
import type { TimerHandle, Timers } from '#reconcile';
import { FelixError } from '../errors.ts';
import type { Child, StartChild } from './run.ts';

export interface Batch {
  /** Applies the lines in order; resolves with the refused ones, by index · throws FelixError CHILD_LOST, STOPPED. */
  submit(lines: readonly string[]): Promise<ReadonlyMap<number, string>>;
  /** Says that a name means another interface now: the child, if it used the name, is replaced. */
  forget(device: string): void;
  stop(): void;
  readonly respawns: number;
}

interface Request {
  readonly first: number;
  readonly ack: number;
  readonly errors: Map<number, string>;
  readonly resolve: (errors: ReadonlyMap<number, string>) => void;
  readonly reject: (error: Error) => void;
}

/** No kernel has this route: class E, in a table nobody uses. */
const ACK = 'route del 240.0.0.1/32 proto 84 table 4242842';

export interface BatchOptions {
  readonly startChild: StartChild;
  readonly timers: Timers;
  /** Longest wait for the next acknowledgement; a child that is silent for longer is killed. */
  readonly timeoutMs: number;
}

/** Starts the child at once, while the agent is small. */
export function createBatch(options: BatchOptions): Batch {
  let session: Session | undefined = new Session(options);
  let stopped = false;
  let respawns = 0;
  return {
    submit(lines) {
      if (stopped) return Promise.reject(new FelixError('STOPPED', 'the batch child was stopped'));
      if (lines.length === 0) return Promise.resolve(new Map());
      if (session === undefined || session.ended) {
        session = new Session(options);
        respawns += 1;
      }
      return session.submit(lines);
    },
    forget(device) {
      if (session?.knows(device) !== true) return;
      // What was written is still done and acknowledged: the old child reads to its end of input and then goes.
      session.close();
      session = undefined;
    },
    stop() {
      stopped = true;
      session?.close();
      session = undefined;
    },
    get respawns() {
      return respawns;
    },
  };
}

/** One child from start to end, with what it has been given and not acknowledged. */
class Session {
  readonly #options: BatchOptions;
  readonly #child: Child;
  readonly #devices = new Set<string>();
  readonly #pending: Request[] = [];
  ended = false;
  #deadline: TimerHandle | undefined;
  #line = 0;
  #text = '';
  #message = '';

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#child = options.startChild('ip', ['-force', '-batch', '-']);
    this.#child.stdout.resume();
    this.#child.stderr.on('data', (text: string) => this.#read(text));
    void this.#child.ended.then((how) => {
      this.ended = true;
      this.#watch();
      const last = this.#message === '' ? '' : `: ${this.#message}`;
      const error = new FelixError('CHILD_LOST', `batch child lost, what it had in hand is unknown: ${how}${last}`);
      for (const request of this.#pending.splice(0)) request.reject(error);
    });
  }

  knows(device: string): boolean {
    return this.#devices.has(device);
  }

  close(): void {
    this.#child.stdin.end();
  }

  submit(lines: readonly string[]): Promise<ReadonlyMap<number, string>> {
    for (const line of lines) {
      if (!line.includes(' dev ')) continue;
      for (const match of line.matchAll(/\bdev (\S+)/g)) if (match[1] !== undefined) this.#devices.add(match[1]);
    }
    return new Promise((resolve, reject) => {
      const first = this.#line + 1;
      this.#line += lines.length + 1;
      this.#pending.push({ first, ack: this.#line, errors: new Map(), resolve, reject });
      this.#child.stdin.write(`${lines.join('\n')}\n${ACK}\n`);
      if (this.#pending.length === 1) this.#watch();
    });
  }

  /** Arms the deadline for the next acknowledgement, if one is awaited. */
  #watch(): void {
    const { timers, timeoutMs } = this.#options;
    if (this.#deadline !== undefined) timers.clear(this.#deadline);
    const isWaiting = this.#pending.length > 0 && !this.ended;
    this.#deadline = isWaiting ? timers.set(() => this.#child.kill(), timeoutMs) : undefined;
  }

  #read(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const failed = /^Command failed -:(\d+)$/.exec(line);
      if (failed === null) this.#message = line;
      else {
        this.#refused(Number(failed[1]), this.#message);
        this.#message = '';
      }
    }
  }

  #refused(line: number, message: string): void {
    const request = this.#pending[0];
    if (request === undefined) return;
    if (line < request.ack) request.errors.set(line - request.first, message);
    else {
      this.#pending.shift();
      this.#watch();
      request.resolve(request.errors);
    }
  }
}
