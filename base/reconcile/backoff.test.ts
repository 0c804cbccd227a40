/** Back-off delays: the table without jitter, the bounds with it. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { backoffDelay } from './index.ts';

describe('backoffDelay', () => {
  const backoff = { baseMs: 100, maxMs: 3000, jitter: 0 };
  for (const [attempt, delayMs] of [
    [0, 100],
    [1, 100],
    [2, 200],
    [3, 400],
    [5, 1600],
    [6, 3000],
    [100, 3000],
    [Number.MAX_SAFE_INTEGER, 3000],
  ] as const) {
    test(`is ${delayMs} ms after failure ${attempt}`, () => {
      assert.equal(
        backoffDelay(attempt, backoff, () => 0.5),
        delayMs,
      );
    });
  }

  test('jitter only shortens, by no more than its share', () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), chance, chance, (attempt, jitter, random) => {
        const full = backoffDelay(attempt, backoff, () => random);
        const delayMs = backoffDelay(attempt, { ...backoff, jitter }, () => random);
        assert.ok(delayMs <= full && delayMs >= full * (1 - jitter) - 1e-9);
      }),
    );
  });
});
