import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { BestPathChange } from '#bgp';
import { parseIp, parsePrefix } from '#net';
import { BatchQueue, packBatch, unpackBatch } from './protocol.ts';

const change = fc
  .record({
    block: fc.integer({ min: 0, max: 30 }),
    hops: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
    source: fc.constantFrom('ibgp' as const, 'ebgp' as const),
  })
  .map(
    ({ block, hops, source }): BestPathChange => ({
      prefix: parsePrefix(`10.64.${block}.0/26`),
      nextHops: hops.map((hop) => parseIp(`192.0.2.${hop}`)),
      source,
    }),
  );

test('a batch unpacks to what was packed', () => {
  fc.assert(
    fc.property(fc.array(change), fc.boolean(), (changes, inSync) => {
      assert.deepEqual(unpackBatch(packBatch({ changes, inSync })), { changes, inSync });
    }),
  );
});

test('the receiver ends with the last state of every prefix, in batches no larger than the limit', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.array(change, { maxLength: 10 }), fc.boolean())), (pushes) => {
      const queue = new BatchQueue(3);
      const sent = new Map<string, BestPathChange>();
      const received = new Map<string, BestPathChange>();
      const take = (): boolean => {
        const batch = queue.take();
        for (const item of batch?.changes ?? []) received.set(item.prefix, item);
        assert.ok((batch?.changes.length ?? 0) <= 3);
        return batch !== undefined;
      };
      for (const [changes, takeOne] of pushes) {
        queue.push({ changes, inSync: false });
        for (const item of changes) sent.set(item.prefix, item);
        if (takeOne) take();
      }
      while (take());
      assert.deepEqual(received, sent);
    }),
  );
});

test('in sync is told once nothing waits behind it, and even when nothing changed', () => {
  const queue = new BatchQueue(1);
  const to = (text: string): BestPathChange => ({
    prefix: parsePrefix(text),
    nextHops: [parseIp('192.0.2.1')],
    source: 'ibgp',
  });
  const [a, b] = [to('10.64.0.0/26'), to('10.64.1.0/26')];
  queue.push({ changes: [a, b], inSync: true });
  assert.deepEqual(queue.take(), { changes: [a], inSync: false });
  assert.deepEqual(queue.take(), { changes: [b], inSync: true });
  assert.equal(queue.take(), undefined);

  const quiet = new BatchQueue(1);
  quiet.push({ changes: [], inSync: true });
  assert.deepEqual(quiet.take(), { changes: [], inSync: true });
});
