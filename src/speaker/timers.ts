/**
 * Real timers for the speaker's thread. The same few lines stand in #observe, but importing that here would load the
 * HTTP server, the logger and the metrics registry into the thread.
 */
import type { TimerHandle, Timers } from '#reconcile';

export const threadTimers: Timers = {
  now: () => performance.now(),
  set: (callback, delayMs): TimerHandle => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};
