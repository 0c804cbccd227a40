/** Virtual timers keep the promises of Timers and move only when told. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createVirtualTimers, type TimerHandle } from './index.ts';

describe('virtual timers', () => {
  test('run in order of time, then of setting, each at its own time', () => {
    const timers = createVirtualTimers();
    const ran: string[] = [];
    const note = (name: string) => () => ran.push(`${name}@${timers.now()}`);
    timers.set(note('late'), 30);
    timers.set(note('first'), 10);
    timers.set(note('second'), 10);
    timers.advance(9);
    assert.deepEqual(ran, []);
    timers.advance(11);
    assert.deepEqual(ran, ['first@10', 'second@10']);
    timers.advance(100);
    assert.deepEqual(ran, ['first@10', 'second@10', 'late@30']);
    assert.equal(timers.now(), 120);
  });

  test('run what a callback sets within the same step, never within set', () => {
    const timers = createVirtualTimers(1000);
    const ran: number[] = [];
    const again = (): void => {
      ran.push(timers.now());
      if (ran.length < 3) timers.set(again, 5);
    };
    timers.set(again, 0);
    assert.deepEqual(ran, []);
    timers.advance(20);
    assert.deepEqual(ran, [1000, 1005, 1010]);
  });

  test('forget a cleared timer, also one that is due in the same step', () => {
    const timers = createVirtualTimers();
    const ran: string[] = [];
    let second: TimerHandle | undefined;
    timers.set(() => {
      ran.push('first');
      if (second !== undefined) timers.clear(second);
    }, 1);
    second = timers.set(() => ran.push('second'), 1);
    assert.equal(timers.pending(), 2);
    timers.advance(5);
    timers.clear(second);
    assert.deepEqual(ran, ['first']);
    assert.equal(timers.pending(), 0);
  });

  test('treat a negative delay as none', () => {
    const timers = createVirtualTimers();
    let ran = 0;
    timers.set(() => ran++, -5);
    timers.advance(0);
    assert.deepEqual([ran, timers.now()], [1, 0]);
  });

  test('let promises settle between timers when advanced asynchronously', async () => {
    const timers = createVirtualTimers();
    const ran: number[] = [];
    const loop = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await new Promise<void>((resolve) => {
          timers.set(resolve, 10);
        });
        ran.push(timers.now());
      }
    };
    const done = loop();
    await timers.advanceAsync(25);
    assert.deepEqual(ran, [10, 20]);
    await timers.advanceAsync(5);
    await done;
    assert.deepEqual(ran, [10, 20, 30]);
  });
});
