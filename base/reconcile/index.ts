/** The shape of every loop, pure: diff, worker, back-off, timers handed in. This is what `#reconcile` exports. */

export { type Backoff, backoffDelay } from './backoff.ts';
export { type Diff, diff, isEmptyDiff } from './diff.ts';
export { createVirtualTimers, type TimerHandle, type Timers, type VirtualTimers } from './timers.ts';
export { Worker, type WorkerOptions, type WorkerStatus } from './worker.ts';
