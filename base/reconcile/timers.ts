/**
 * Time as a thing handed in. Pure code sees a clock and one-shot timers only through this interface; programs pass the
 * real ones, tests pass virtual ones that move when told to. There is no repeating timer: loops re-arm.
 */

/** What `set` returned and `clear` takes; opaque to everyone else. */
export type TimerHandle = object;

/** A monotonic clock and one-shot timers. */
export interface Timers {
  /** Monotonic milliseconds from an unspecified origin. */
  now(): number;
  /** Calls back once, not before `delayMs` have passed and never within `set` itself. */
  set(callback: () => void, delayMs: number): TimerHandle;
  /** Forgets a timer; harmless when it has run or was cleared. */
  clear(handle: TimerHandle): void;
}

/** Timers whose time stands still until a test moves it. */
export interface VirtualTimers extends Timers {
  /** Moves time on, running due timers in order of time, then of setting, each at its own time. */
  advance(ms: number): void;
  /** As advance, but lets promises settle before the first, between any two and after the last timer. */
  advanceAsync(ms: number): Promise<void>;
  /** How many timers are set. */
  pending(): number;
}

interface VirtualTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Microtask turns after which promise chains of tests have settled: no clock, so counted, with much to spare. */
const SETTLE_TURNS = 100;

/** Virtual timers at time 0 (or `startMs`). Callbacks may set and clear timers, also ones due within the same step. */
export function createVirtualTimers(startMs = 0): VirtualTimers {
  const timers = new Set<VirtualTimer>();
  let nowMs = startMs;
  let order = 0;

  /** Runs the earliest timer due by `untilMs`; false when there is none. */
  function runNext(untilMs: number): boolean {
    let next: VirtualTimer | undefined;
    for (const timer of timers) {
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    if (next === undefined) return false;
    timers.delete(next);
    nowMs = Math.max(nowMs, next.dueMs);
    next.callback();
    return true;
  }

  return {
    now: () => nowMs,
    set(callback, delayMs) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), order: order++, callback };
      timers.add(timer);
      return timer;
    },
    clear(handle) {
      timers.delete(handle as VirtualTimer);
    },
    advance(ms) {
      const untilMs = nowMs + ms;
      while (runNext(untilMs));
      nowMs = untilMs;
    },
    async advanceAsync(ms) {
      const untilMs = nowMs + ms;
      do await settle();
      while (runNext(untilMs));
      nowMs = untilMs;
    },
    pending: () => timers.size,
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn++) await Promise.resolve();
}
