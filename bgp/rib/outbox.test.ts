import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Ip, type Prefix, parseIp, parsePrefix } from '#net';
import type { BestPathChange } from '../speaker-types.ts';
import { EMPTY_ATTRIBUTES } from '../wire/attribute/attributes.ts';
import { LocRib } from './loc-rib.ts';
import { BestPathOutbox, unpackBestPaths } from './outbox.ts';
import { PrefixTable } from './prefix-table.ts';

function createOutbox() {
  const table = new PrefixTable();
  const locRib = new LocRib(table);
  const outbox = new BestPathOutbox(locRib);
  const learn = (prefix: Prefix, from: string, hop: Ip | undefined): void => {
    const source = { name: from, kind: 'ebgp' as const, address: hop, routerId: hop };
    if (hop === undefined) locRib.retract(table.intern(prefix), from);
    else locRib.offer(table.intern(prefix), { source, nextHop: hop, attributes: EMPTY_ATTRIBUTES });
  };
  const decide = (): void =>
    locRib.decide((change) => {
      if (change.nextHopsChanged) outbox.push(change);
    });
  const take = (limit: number) => {
    const batch = outbox.take(limit);
    return batch === undefined ? undefined : unpackBestPaths(batch);
  };
  return { table, locRib, outbox, learn, decide, take };
}

test('the receiver ends with the last state of every prefix, in batches no larger than the limit', () => {
  const step = fc.record({
    block: fc.integer({ min: 0, max: 30 }),
    from: fc.constantFrom('a', 'b', 'c'),
    hop: fc.option(fc.integer({ min: 1, max: 4 })),
    takes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { table, locRib, learn, decide, take } = createOutbox();
      const received = new Map<Prefix, BestPathChange>();
      const takeOne = (): boolean => {
        const batch = take(3);
        for (const change of batch?.changes ?? []) received.set(change.prefix, change);
        assert.ok((batch?.changes.length ?? 0) <= 3);
        return batch !== undefined;
      };
      const touched = new Set<Prefix>();
      for (const { block, from, hop, takes } of steps) {
        const prefix = parsePrefix(block % 2 === 0 ? `10.64.${block}.0/26` : `2001:db8:${block}::/64`);
        touched.add(prefix);
        learn(prefix, from, hop === null ? undefined : parseIp(`192.0.2.${hop}`));
        decide();
        if (takes) takeOne();
      }
      while (takeOne());
      for (const prefix of touched) {
        assert.deepEqual(received.get(prefix)?.nextHops ?? [], locRib.nextHops(table.intern(prefix)));
        assert.equal(received.get(prefix)?.source ?? 'ebgp', 'ebgp');
      }
    }),
  );
});

test('a batch names each set of next hops once', () => {
  const { outbox, learn, decide } = createOutbox();
  const [one, two] = [parseIp('192.0.2.1'), parseIp('192.0.2.2')];
  for (let block = 0; block < 10; block++) {
    const prefix = parsePrefix(`10.64.${block}.0/26`);
    learn(prefix, 'a', one);
    if (block === 3) learn(prefix, 'b', two);
  }
  decide();
  assert.deepEqual(outbox.take(100)?.nextHopSets, [[one], [one, two]]);
});

test('in sync is told once nothing waits behind it, and even when nothing changed', () => {
  const { outbox, learn, decide, take } = createOutbox();
  learn(parsePrefix('10.64.0.0/26'), 'a', parseIp('192.0.2.1'));
  learn(parsePrefix('10.64.1.0/26'), 'a', parseIp('192.0.2.1'));
  decide();
  outbox.inSync = true;
  assert.equal(take(1)?.inSync, false);
  assert.equal(take(1)?.inSync, true);
  assert.equal(take(1), undefined);

  const quiet = createOutbox();
  quiet.outbox.inSync = true;
  assert.deepEqual(quiet.take(1), { changes: [], inSync: true });
});
