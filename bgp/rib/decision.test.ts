import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseIp, parsePrefix } from '#net';
import { EMPTY_ATTRIBUTES, type PathAttributes } from '../wire/attribute/attributes.ts';
import { choose } from './decision.ts';
import { LOCAL_SOURCE, type Path } from './path.ts';

const prefix = parsePrefix('10.64.0.0/26');

interface Sketch {
  readonly name: string;
  readonly kind?: 'local' | 'ebgp' | 'ibgp';
  readonly id?: number;
  readonly address?: number;
  readonly as?: readonly number[];
  readonly attributes?: Partial<PathAttributes>;
}

function path({ name, kind = 'ebgp', id = 1, address = 1, as = [65001], attributes = {} }: Sketch): Path {
  if (kind === 'local') return { prefix, source: LOCAL_SOURCE, nextHop: undefined, attributes: EMPTY_ATTRIBUTES };
  const asPath = as.length === 0 ? [] : [{ kind: 'sequence' as const, asns: as }];
  return {
    prefix,
    source: { name, kind, address: parseIp(`192.0.2.${address}`), routerId: parseIp(`10.0.0.${id}`) },
    nextHop: parseIp(`192.0.2.${address}`),
    attributes: { ...EMPTY_ATTRIBUTES, asPath, ...attributes },
  };
}

// Each row: the winner, the loser, and the step that must say so.
const rows: readonly [step: string, winner: Sketch, loser: Sketch][] = [
  ['our own route', { name: '', kind: 'local' }, { name: 'b', attributes: { localPref: 999 } }],
  [
    'higher LOCAL_PREF',
    { name: 'z', kind: 'ibgp', as: [1, 2, 3], attributes: { localPref: 200 } },
    { name: 'b', kind: 'ibgp', as: [1] },
  ],
  ['higher LOCAL_PREF', { name: 'z', as: [1] }, { name: 'b', kind: 'ibgp', as: [1], attributes: { localPref: 99 } }],
  ['shorter AS_PATH', { name: 'z', id: 9 }, { name: 'b', as: [65001, 65001] }],
  [
    'shorter AS_PATH',
    { name: 'z', attributes: { asPath: [{ kind: 'set', asns: [1, 2, 3] }] } },
    { name: 'b', as: [65001, 65002] },
  ],
  ['lower ORIGIN', { name: 'z', id: 9 }, { name: 'b', attributes: { origin: 'incomplete' } }],
  ['lower ORIGIN', { name: 'z', attributes: { origin: 'egp' } }, { name: 'b', attributes: { origin: 'incomplete' } }],
  ['lower MED', { name: 'z', id: 9, attributes: { med: 5 } }, { name: 'b', attributes: { med: 6 } }],
  ['lower MED', { name: 'z', id: 9 }, { name: 'b', attributes: { med: 1 } }], // absent = 0
  ['eBGP over iBGP', { name: 'z', id: 9 }, { name: 'b', kind: 'ibgp' }],
  ['lower router id', { name: 'z', id: 1, address: 9 }, { name: 'b', id: 2 }],
  [
    'lower router id', // ORIGINATOR_ID stands for it
    { name: 'z', kind: 'ibgp', id: 9, attributes: { originatorId: parseIp('10.0.0.1') } },
    { name: 'b', kind: 'ibgp', id: 2 },
  ],
  [
    'shorter CLUSTER_LIST',
    { name: 'z', kind: 'ibgp', address: 9 },
    { name: 'b', kind: 'ibgp', attributes: { clusterList: [parseIp('1.1.1.1')] } },
  ],
  ['lower peer address', { name: 'z', address: 1 }, { name: 'b', address: 2 }],
  ['peer name', { name: 'a' }, { name: 'b' }],
];

for (const [step, winner, loser] of rows) {
  test(`${step}: ${winner.name || 'local'} beats ${loser.name}`, () => {
    const [best, other] = [path(winner), path(loser)];
    for (const paths of [
      [best, other],
      [other, best],
    ]) {
      const verdict = choose(paths);
      assert.equal(verdict?.best, best);
      assert.deepEqual(
        verdict?.losers.map((lost) => [lost.path, lost.step.step]),
        [[other, step]],
      );
    }
  });
}

test('MED of different neighbouring ASes is not compared', () => {
  const verdict = choose([
    path({ name: 'a', id: 2, as: [1], attributes: { med: 1 } }),
    path({ name: 'b', id: 1, as: [2], attributes: { med: 9 } }),
  ]);
  assert.equal(verdict?.best.source.name, 'b');
});

test('no paths, no verdict; one path needs no reason', () => {
  assert.equal(choose([]), undefined);
  const only = path({ name: 'a' });
  assert.deepEqual(choose([only]), { best: only, multipath: [only], losers: [] });
});

test('paths that only a tie-break tells apart are used together, others are not', () => {
  const [a, b, longer] = [path({ name: 'a', id: 1 }), path({ name: 'b', id: 2 }), path({ name: 'c', as: [1, 2] })];
  const verdict = choose([longer, b, a]);
  assert.deepEqual(verdict?.multipath, [b, a]);
  assert.equal(verdict?.best, a);
});

const anyPaths = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      kind: fc.constantFrom('ebgp' as const, 'ibgp' as const),
      id: fc.integer({ min: 1, max: 3 }),
      address: fc.integer({ min: 1, max: 3 }),
      as: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 2 }),
      attributes: fc.record({
        med: fc.integer({ min: 0, max: 2 }),
        localPref: fc.constantFrom(100, 200),
        origin: fc.constantFrom('igp' as const, 'egp' as const),
      }),
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 6 },
  )
  .map((sketches) => sketches.map(path));

test('the verdict does not depend on the order of arrival', () => {
  fc.assert(
    fc.property(
      anyPaths.chain((paths) => fc.tuple(fc.constant(paths), fc.shuffledSubarray(paths, { minLength: paths.length }))),
      ([paths, shuffled]) => {
        const [one, two] = [choose(paths), choose(shuffled)];
        assert.equal(one?.best, two?.best);
        assert.deepEqual(new Set(one?.multipath), new Set(two?.multipath));
        assert.equal((one?.losers.length ?? 0) + 1, paths.length, 'a total order: exactly one is left');
        assert.ok(one?.multipath.includes(one.best));
      },
    ),
    { numRuns: 1000 },
  );
});

test('removing a loser never changes the winner, where MED plays no part', () => {
  const withoutMed = anyPaths.map((paths) =>
    paths.map((p) => ({ ...p, attributes: { ...p.attributes, med: undefined } })),
  );
  fc.assert(
    fc.property(withoutMed, (paths) => {
      const verdict = choose(paths);
      for (const { path: loser } of verdict?.losers ?? []) {
        assert.equal(choose(paths.filter((p) => p !== loser))?.best, verdict?.best);
      }
    }),
    { numRuns: 1000 },
  );
});

test('with MED it may: the exception RFC 4271 §9.1.2.2 c makes (and RFC 4451 §2.1 warns of)', () => {
  const a = path({ name: 'a', id: 1, as: [1], attributes: { med: 2 } });
  const b = path({ name: 'b', id: 2, as: [2] });
  const c = path({ name: 'c', id: 3, as: [1], attributes: { med: 1 } });
  assert.equal(choose([a, b, c])?.best, b, 'c removes a by MED, b beats c by router id');
  assert.equal(choose([a, b])?.best, a, 'without the loser c, a wins');
});
