// The real clock and timers of a process, in the shape base/reconcile hands around. Programs pass them in, so that every
// loop below can run on virtual time in a test.
//
// Invariant: `now` is monotonic. It never jumps with the wall clock, and means nothing outside this process.
import { performance } from 'node:perf_hooks';
import type { Timers } from '#reconcile';

/** Monotonic milliseconds and setTimeout. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  set: (callback: () => void, delayMs: number) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};
