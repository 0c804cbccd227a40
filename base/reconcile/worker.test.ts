/** The worker in virtual time: when runs begin, what a failure does, what stop leaves behind. No sleeps. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { createVirtualTimers, type VirtualTimers, Worker, type WorkerOptions } from './index.ts';

interface Bench {
  readonly timers: VirtualTimers;
  readonly worker: Worker;
  /** Start times of the runs so far. */
  readonly began: number[];
  readonly errors: (readonly [message: string, attempt: number])[];
  /** How many of the next runs fail. */
  fail: number;
  /** How long a run takes. */
  lastsMs: number;
}

function createBench(options: Partial<WorkerOptions> = {}): Bench {
  const timers = createVirtualTimers();
  let running = 0;
  const worker = new Worker({
    name: 'bench',
    timers,
    random: () => 0,
    onError: (error, attempt) => bench.errors.push([error instanceof Error ? error.message : 'not an error', attempt]),
    async run(signal) {
      assert.equal(++running, 1, 'two runs at once');
      bench.began.push(timers.now());
      try {
        if (bench.lastsMs > 0) await delay(timers, bench.lastsMs, signal);
        if (bench.fail > 0) {
          bench.fail--;
          throw new Error('the world is unavailable');
        }
      } finally {
        running--;
      }
    },
    ...options,
  });
  const bench: Bench = { timers, worker, began: [], errors: [], fail: 0, lastsMs: 0 };
  return bench;
}

/** Waits in virtual time and rejects with the abort reason. */
function delay(timers: VirtualTimers, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const handle = timers.set(resolve, ms);
    signal.addEventListener('abort', () => {
      timers.clear(handle);
      reject(signal.reason as Error);
    });
  });
}

describe('a worker', () => {
  test('runs once at start and then waits', async () => {
    const { worker, timers, began } = createBench();
    assert.equal(worker.status().state, 'new');
    worker.start();
    assert.deepEqual(began, [], 'never within start itself');
    await timers.advanceAsync(60_000);
    assert.deepEqual(began, [0]);
    assert.equal(worker.status().state, 'idle');
    assert.equal(timers.pending(), 0);
  });

  test('does nothing before start and remembers a trigger no more than once', async () => {
    const { worker, timers, began } = createBench();
    worker.trigger();
    worker.trigger();
    await timers.advanceAsync(1000);
    assert.deepEqual(began, []);
    worker.start();
    worker.start();
    await timers.advanceAsync(1000);
    assert.deepEqual(began, [1000]);
  });

  test('coalesces triggers of one turn into one run', async () => {
    const { worker, timers, began } = createBench();
    worker.start();
    await timers.advanceAsync(10);
    for (let i = 0; i < 1000; i++) worker.trigger();
    await timers.advanceAsync(10);
    assert.deepEqual(began, [0, 10]);
  });

  test('answers triggers during a run with exactly one more, after it', async () => {
    const bench = createBench();
    bench.lastsMs = 50;
    bench.worker.start();
    await bench.timers.advanceAsync(10);
    assert.equal(bench.worker.status().state, 'running');
    bench.worker.trigger();
    bench.worker.trigger();
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, [0, 50]);
  });

  test('keeps the least gap between the end of a run and the next, and loses nothing by it', async () => {
    const bench = createBench({ minGapMs: 100 });
    bench.lastsMs = 20;
    bench.worker.start();
    await bench.timers.advanceAsync(30);
    bench.worker.trigger();
    assert.equal(bench.worker.status().state, 'waiting');
    await bench.timers.advanceAsync(50);
    bench.worker.trigger();
    await bench.timers.advanceAsync(500);
    assert.deepEqual(bench.began, [0, 120]);
    bench.worker.trigger();
    await bench.timers.advanceAsync(0);
    assert.deepEqual(bench.began, [0, 120, 580], 'the gap is over: at once');
  });

  test('runs again a resync period after the end of each run, re-armed by every run', async () => {
    const bench = createBench({ resyncMs: 1000 });
    bench.lastsMs = 100;
    bench.worker.start();
    await bench.timers.advanceAsync(1500);
    assert.deepEqual(bench.began, [0, 1100]);
    bench.worker.trigger();
    await bench.timers.advanceAsync(1200);
    assert.deepEqual(bench.began, [0, 1100, 1500, 2600]);
    await bench.timers.advanceAsync(200);
    assert.equal(bench.timers.pending(), 1);
  });

  test('counts its runs and failures', async () => {
    const bench = createBench();
    bench.fail = 2;
    bench.worker.start();
    await bench.timers.advanceAsync(150);
    const { runs, failures, attempt, state, lastError, name } = bench.worker.status();
    assert.deepEqual(
      { runs, failures, attempt, state, name },
      { runs: 2, failures: 2, attempt: 2, state: 'backing-off', name: 'bench' },
    );
    assert.match(String(lastError), /unavailable/);
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.worker.status(), {
      name: 'bench',
      state: 'idle',
      runs: 3,
      failures: 2,
      attempt: 0,
      lastError: undefined,
    });
  });
});

describe('a failed run', () => {
  const backoff = { baseMs: 100, maxMs: 500, jitter: 0 };

  test('is repeated with growing delays up to the ceiling, and success starts them anew', async () => {
    const bench = createBench({ backoff });
    bench.fail = 5;
    bench.worker.start();
    await bench.timers.advanceAsync(5000);
    assert.deepEqual(bench.began, [0, 100, 300, 700, 1200, 1700]);
    assert.deepEqual(
      bench.errors.map(([, attempt]) => attempt),
      [1, 2, 3, 4, 5],
    );
    bench.fail = 1;
    bench.worker.trigger();
    await bench.timers.advanceAsync(5000);
    assert.deepEqual(bench.began.slice(6), [5000, 5100]);
    assert.equal(bench.errors.at(-1)?.[1], 1);
  });

  test('waits less by jitter', async () => {
    const bench = createBench({ backoff: { ...backoff, jitter: 0.5 }, random: () => 0.5 });
    bench.fail = 1;
    bench.worker.start();
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, [0, 75]);
  });

  test('does not delay news: a trigger brings the repeat forward to the base delay', async () => {
    const bench = createBench({ backoff });
    bench.fail = 4;
    bench.worker.start();
    await bench.timers.advanceAsync(720);
    assert.deepEqual(bench.began, [0, 100, 300, 700]);
    bench.worker.trigger();
    await bench.timers.advanceAsync(79);
    assert.equal(bench.began.length, 4);
    await bench.timers.advanceAsync(1);
    assert.deepEqual(bench.began, [0, 100, 300, 700, 800]);
  });

  test('with news during it is repeated after the base delay', async () => {
    const bench = createBench({ backoff });
    bench.fail = 3;
    bench.lastsMs = 10;
    bench.worker.start();
    await bench.timers.advanceAsync(325);
    assert.deepEqual(bench.began, [0, 110, 320]);
    bench.worker.trigger();
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, [0, 110, 320, 430]);
  });

  test('is no hot loop under a flood of triggers', async () => {
    const bench = createBench({ backoff });
    bench.fail = Number.POSITIVE_INFINITY;
    bench.worker.start();
    for (let i = 0; i < 1000; i++) {
      bench.worker.trigger();
      await bench.timers.advanceAsync(1);
    }
    assert.deepEqual(bench.began, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    await bench.worker.stop();
  });

  test('keeps the least gap where that is longer', async () => {
    const bench = createBench({ backoff, minGapMs: 300 });
    bench.fail = 1;
    bench.worker.start();
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, [0, 300]);
  });

  test('may throw without a promise and without a listener', async () => {
    const timers = createVirtualTimers();
    let runs = 0;
    const run = (): Promise<void> => {
      if (runs++ === 0) throw new Error('at once');
      return Promise.resolve();
    };
    const worker = new Worker({ name: 'thrower', run, timers, random: () => 0 });
    worker.start();
    await timers.advanceAsync(1000);
    assert.equal(runs, 2);
  });
});

describe('stop', () => {
  test('aborts the run, awaits it and leaves no timer', async () => {
    const bench = createBench({ resyncMs: 1000 });
    bench.lastsMs = 50;
    bench.worker.start();
    await bench.timers.advanceAsync(10);
    bench.worker.trigger();
    await bench.worker.stop();
    await bench.worker.stop();
    assert.equal(bench.worker.status().state, 'stopped');
    assert.deepEqual(bench.errors, [], 'being stopped is no failure');
    bench.worker.trigger();
    bench.worker.start();
    await bench.timers.advanceAsync(60_000);
    assert.deepEqual(bench.began, [0]);
    assert.equal(bench.timers.pending(), 0);
  });

  test('waits for a run that does not listen to the signal', async () => {
    const timers = createVirtualTimers();
    let ended = false;
    const run = async (): Promise<void> => {
      await delay(timers, 500, new AbortController().signal);
      ended = true;
    };
    const worker = new Worker({ name: 'deaf', run, timers, random: () => 0, resyncMs: 10 });
    worker.start();
    await timers.advanceAsync(1);
    let stopped = false;
    const stop = worker.stop().then(() => {
      stopped = true;
      assert.ok(ended);
    });
    await timers.advanceAsync(400);
    assert.equal(stopped, false);
    await timers.advanceAsync(100);
    await stop;
    assert.equal(timers.pending(), 0);
  });

  test('still reports a true failure of the last run, and does not repeat it', async () => {
    const timers = createVirtualTimers();
    const errors: unknown[] = [];
    const run = async (signal: AbortSignal): Promise<void> => {
      await delay(timers, 500, signal).catch(() => undefined);
      throw new Error('disk full');
    };
    const worker = new Worker({
      name: 'failing',
      run,
      timers,
      random: () => 0,
      onError: (error) => errors.push(error),
    });
    worker.start();
    await timers.advanceAsync(1);
    await worker.stop();
    await timers.advanceAsync(60_000);
    assert.equal(errors.length, 1);
    assert.equal(worker.status().runs, 1);
  });

  test('prevents a run that was about to begin', async () => {
    const bench = createBench();
    bench.worker.start();
    await bench.worker.stop();
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, []);
  });

  test('before start makes start do nothing', async () => {
    const bench = createBench();
    await bench.worker.stop();
    bench.worker.start();
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, []);
  });

  test('during back-off cancels the repeat', async () => {
    const bench = createBench();
    bench.fail = 1;
    bench.worker.start();
    await bench.timers.advanceAsync(50);
    await bench.worker.stop();
    assert.equal(bench.timers.pending(), 0);
    await bench.timers.advanceAsync(1000);
    assert.deepEqual(bench.began, [0]);
  });
});

describe('settled', () => {
  /** Whether the promise has resolved by now. */
  async function isSettled(bench: Bench): Promise<boolean> {
    let settled = false;
    void bench.worker.settled().then(() => {
      settled = true;
    });
    await bench.timers.advanceAsync(0);
    return settled;
  }

  test('waits for the run, for what was triggered during it and for a repeat, but not for a resync', async () => {
    const bench = createBench({ resyncMs: 10_000 });
    bench.lastsMs = 50;
    bench.fail = 1;
    assert.equal(await isSettled(bench), true, 'nothing to do before start');
    bench.worker.start();
    assert.equal(await isSettled(bench), false, 'running');
    await bench.timers.advanceAsync(60);
    assert.equal(await isSettled(bench), false, 'backing off');
    await bench.timers.advanceAsync(100);
    bench.worker.trigger();
    await bench.timers.advanceAsync(45);
    assert.equal(await isSettled(bench), false, 'running again');
    await bench.timers.advanceAsync(100);
    assert.equal(await isSettled(bench), true, 'only a resync is left');
  });

  test('resolves when the worker is stopped instead', async () => {
    const bench = createBench();
    bench.lastsMs = 50;
    bench.worker.start();
    await bench.timers.advanceAsync(1);
    const settled = bench.worker.settled();
    await bench.worker.stop();
    await settled;
  });
});

describe('whatever happens', () => {
  test('runs never overlap, each trigger is followed by a run that began after it, and stop ends all', async () => {
    const happening = fc.oneof(
      fc.record({ kind: fc.constant('trigger' as const) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(300) }),
      fc.record({ kind: fc.constant('fail' as const), times: fc.nat(3) }),
      fc.record({ kind: fc.constant('last' as const), ms: fc.nat(80) }),
    );
    const settings = fc.record({ resyncMs: fc.constantFrom(0, 150), minGapMs: fc.constantFrom(0, 40) });
    await fc.assert(
      fc.asyncProperty(settings, fc.array(happening, { maxLength: 30 }), async (options, happenings) => {
        const bench = createBench({ ...options, backoff: { baseMs: 20, maxMs: 100, jitter: 0 } });
        bench.worker.start();
        let triggeredMs = 0;
        let beganBefore = 0;
        for (const event of happenings) {
          if (event.kind === 'trigger') {
            bench.worker.trigger();
            triggeredMs = bench.timers.now();
            beganBefore = bench.began.length;
          } else if (event.kind === 'pass') await bench.timers.advanceAsync(event.ms);
          else if (event.kind === 'fail') bench.fail = event.times;
          else bench.lastsMs = event.ms;
        }
        await bench.timers.advanceAsync(400);
        assert.ok(bench.began.length > beganBefore, 'a trigger was lost');
        assert.ok((bench.began.at(-1) ?? -1) >= triggeredMs);
        await bench.worker.stop();
        const runs = bench.began.length;
        await bench.timers.advanceAsync(10_000);
        assert.equal(bench.began.length, runs);
        assert.equal(bench.timers.pending(), 0);
      }),
      { numRuns: 200 },
    );
  });
});
