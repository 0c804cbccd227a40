import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '#net';
import { RefreshSweep } from './refresh.ts';

const A = parsePrefix('10.0.0.0/24');
const B = parsePrefix('10.0.1.0/24');
const SIX = parsePrefix('2001:db8::/48');

test('what is not told between the markers is gone, in that family only', () => {
  const sweep = new RefreshSweep();
  sweep.begin(4, [A, B, SIX]);
  assert.deepEqual(sweep.open, [4]);
  sweep.seen(A);
  assert.deepEqual(sweep.end(4), [B]);
  assert.deepEqual(sweep.open, []);
});

test('an end without a begin removes nothing', () => {
  const sweep = new RefreshSweep();
  sweep.seen(A);
  assert.deepEqual(sweep.end(4), []);
});

test('a second begin starts again, and a lost session ends it', () => {
  const sweep = new RefreshSweep();
  sweep.begin(4, [A, B]);
  sweep.seen(A);
  sweep.begin(4, [A, B]);
  assert.deepEqual(new Set(sweep.end(4)), new Set([A, B]));
  sweep.begin(6, [SIX]);
  sweep.clear();
  assert.deepEqual(sweep.end(6), []);
});
