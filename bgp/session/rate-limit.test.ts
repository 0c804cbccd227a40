import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import { RateLimit } from './rate-limit.ts';

const A = parseIp('192.0.2.1');
const B = parseIp('192.0.2.2');

test('a burst is let in, then one per interval, each source for itself', () => {
  const limit = new RateLimit({ burst: 3, perSec: 2, sources: 10 });
  assert.deepEqual(
    [0, 0, 0, 0].map((at) => limit.admit(A, at)),
    [true, true, true, false],
  );
  assert.ok(limit.admit(B, 0));
  assert.ok(!limit.admit(A, 400));
  assert.ok(limit.admit(A, 500));
  assert.ok(!limit.admit(A, 600), 'a refused try costs nothing, an admitted one does');
  assert.deepEqual(
    [10_000, 10_000, 10_000, 10_000].map((at) => limit.admit(A, at)),
    [true, true, true, false],
    'never more than the burst',
  );
});

test('the number of sources remembered is bounded; the one longest unused is forgotten', () => {
  const limit = new RateLimit({ burst: 1, perSec: 0, sources: 2 });
  assert.ok(limit.admit(A, 0) && limit.admit(B, 0));
  assert.ok(!limit.admit(A, 0));
  limit.admit(parseIp('192.0.2.3'), 0);
  assert.ok(!limit.admit(A, 0), 'A was used after B');
  assert.ok(limit.admit(B, 0));
});
