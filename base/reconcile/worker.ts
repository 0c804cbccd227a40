/**
 * The life of a reconcile loop. trigger() is cheap and may be called too often: calls coalesce, and what is triggered
 * during a run leads to exactly one more. Invariants: never two runs at once; a failed run is repeated after a back-off;
 * a trigger during back-off brings the repeat forward, but never nearer than `backoff.baseMs` after the failure, so a
 * failing item neither delays news nor makes a hot loop; after stop() has resolved nothing runs and no timer is set.
 */

import { type Backoff, backoffDelay } from './backoff.ts';
import type { TimerHandle, Timers } from './timers.ts';

export interface WorkerOptions {
  /** For status and logs. */
  readonly name: string;
  /** One run: read, diff, apply what is possible, throw when something must be tried again. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly timers: Timers;
  readonly random: () => number;
  /** Time from the end of a run to the next without a trigger; absent or 0 = none. */
  readonly resyncMs?: number | undefined;
  /** Least time from the end of one run to the start of the next, so that bursts coalesce; default 0. */
  readonly minGapMs?: number | undefined;
  readonly backoff?: Backoff | undefined;
  /** Hears of every failed run; `attempt` counts failures since the last success, from 1. */
  readonly onError?: ((error: unknown, attempt: number) => void) | undefined;
}

/** What a worker is doing, for /debug/state and gauges collected at scrape. */
export interface WorkerStatus {
  readonly name: string;
  readonly state: 'new' | 'idle' | 'waiting' | 'running' | 'backing-off' | 'stopped';
  /** Runs that ended, and how many of them failed. */
  readonly runs: number;
  readonly failures: number;
  /** Failures since the last success. */
  readonly attempt: number;
  readonly lastError: unknown;
}

const DEFAULT_BACKOFF: Backoff = { baseMs: 100, maxMs: 30_000, jitter: 0.5 };

/** A reconcile loop. The constructor stores, start() begins with a run at once, stop() aborts and awaits. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #backoff: Backoff;
  readonly #controller = new AbortController();
  #started = false;
  /** Something is to be done: a trigger came since the last run began, or that run failed. */
  #dirty = false;
  #running: Promise<void> | undefined;
  #timer: TimerHandle | undefined;
  /** Marks the microtask that will begin a run; an older mark is void. */
  #turn = 0;
  /** No run begins before this time, except that a trigger may bring it forward to `#soonestMs`. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #soonestMs = Number.NEGATIVE_INFINITY;
  #runs = 0;
  #failures = 0;
  #attempt = 0;
  #lastError: unknown;
  #settledWaiters: (() => void)[] = [];

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF;
  }

  /** Begins, with one run at once. A second call, or one after stop(), does nothing. */
  start(): void {
    if (this.#started || this.#stopped) return;
    this.#started = true;
    this.trigger();
  }

  /** Asks for a run; remembered before start() and during a run, ignored after stop(). */
  trigger(): void {
    if (this.#stopped) return;
    this.#dirty = true;
    this.#notBeforeMs = Math.min(this.#notBeforeMs, this.#soonestMs);
    this.#schedule();
  }

  /** Aborts the signal, awaits the running job and forgets the rest. Safe to call again; not to be awaited in run. */
  async stop(): Promise<void> {
    this.#controller.abort();
    this.#dirty = false;
    this.#clearTimer();
    await this.#running;
    this.#releaseWaiters();
  }

  /** Resolves when no run is pending (a repeat after a failure counts as pending) or running; a resync is neither. */
  settled(): Promise<void> {
    if (this.#isSettled) return Promise.resolve();
    return new Promise((resolve) => this.#settledWaiters.push(resolve));
  }

  status(): WorkerStatus {
    const { name } = this.#options;
    const [runs, failures, attempt, lastError] = [this.#runs, this.#failures, this.#attempt, this.#lastError];
    return { name, state: this.#state(), runs, failures, attempt, lastError };
  }

  #state(): WorkerStatus['state'] {
    if (this.#running !== undefined) return 'running';
    if (this.#stopped) return 'stopped';
    if (!this.#started) return 'new';
    if (!this.#dirty) return 'idle';
    return this.#attempt > 0 ? 'backing-off' : 'waiting';
  }

  get #stopped(): boolean {
    return this.#controller.signal.aborted;
  }

  get #isSettled(): boolean {
    return this.#running === undefined && (!this.#dirty || !this.#started);
  }

  /** Arranges the next run, if one is due and none is running: in a microtask when it may begin now, else by timer. */
  #schedule(): void {
    if (!this.#started || this.#running !== undefined || !this.#dirty) return;
    this.#clearTimer();
    const waitMs = this.#notBeforeMs - this.#options.timers.now();
    if (waitMs > 0) {
      this.#setTimer(() => this.#begin(), waitMs);
      return;
    }
    const turn = ++this.#turn;
    void Promise.resolve().then(() => {
      if (turn === this.#turn) this.#begin();
    });
  }

  #begin(): void {
    if (this.#stopped || this.#running !== undefined || !this.#dirty) return;
    this.#dirty = false;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const failed = await this.#attemptRun();
    const { timers, minGapMs = 0, resyncMs = 0, random } = this.#options;
    this.#running = undefined;
    this.#soonestMs = timers.now() + minGapMs;
    this.#notBeforeMs = this.#soonestMs;
    if (failed) this.#backOff(timers.now() + backoffDelay(this.#attempt, this.#backoff, random));
    if (this.#stopped) return;
    if (this.#dirty) this.#schedule();
    else {
      if (resyncMs > 0) this.#setTimer(() => this.trigger(), resyncMs);
      this.#releaseWaiters();
    }
  }

  /** Runs once and counts; true when it failed. Failing because of the abort is no failure. */
  async #attemptRun(): Promise<boolean> {
    const { signal } = this.#controller;
    try {
      await this.#options.run(signal);
      this.#attempt = 0;
      this.#lastError = undefined;
      return false;
    } catch (error) {
      if (isAbort(error, signal)) return false;
      this.#failures++;
      this.#attempt++;
      this.#lastError = error;
      this.#options.onError?.(error, this.#attempt);
      return true;
    } finally {
      this.#runs++;
    }
  }

  /** Puts the repeat off to `untilMs`, or to the soonest time when news came while the failed run was under way. */
  #backOff(untilMs: number): void {
    const news = this.#dirty;
    this.#soonestMs = Math.max(this.#soonestMs, this.#options.timers.now() + this.#backoff.baseMs);
    this.#notBeforeMs = news ? this.#soonestMs : Math.max(this.#notBeforeMs, untilMs);
    this.#dirty = !this.#stopped;
  }

  #setTimer(callback: () => void, delayMs: number): void {
    this.#clearTimer();
    this.#timer = this.#options.timers.set(() => {
      this.#timer = undefined;
      callback();
    }, delayMs);
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.#options.timers.clear(this.#timer);
    this.#timer = undefined;
  }

  #releaseWaiters(): void {
    for (const resolve of this.#settledWaiters.splice(0)) resolve();
  }
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}
