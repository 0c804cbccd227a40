import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { mergeAs4Path } from './as4-path.ts';
import { countAses } from './as-path.ts';
import type { AsSegment } from './attributes.ts';
import { formatAsPath } from './format.ts';

const BIG = 4200000001;

function sequence(...asns: number[]): AsSegment {
  return { kind: 'sequence', asns };
}

function set(...asns: number[]): AsSegment {
  return { kind: 'set', asns };
}

/** RFC 6793 §4.2.3. */
const CASES: readonly { name: string; path: AsSegment[]; path4: AsSegment[]; merged: string }[] = [
  {
    name: 'paths of one length',
    path: [sequence(23456, 65001)],
    path4: [sequence(BIG, 65001)],
    merged: `${BIG} 65001`,
  },
  {
    name: 'ASes put in front',
    path: [sequence(65003, 65002, 23456)],
    path4: [sequence(BIG)],
    merged: `65003 65002 ${BIG}`,
  },
  {
    name: 'a longer AS4_PATH, which is ignored',
    path: [sequence(65001)],
    path4: [sequence(BIG, BIG)],
    merged: '65001',
  },
  {
    name: 'a set that counts once',
    path: [sequence(65003), set(1, 2, 3)],
    path4: [set(BIG, 2)],
    merged: `65003 {${BIG} 2}`,
  },
  { name: 'a set in front', path: [set(7, 8), sequence(23456)], path4: [sequence(BIG)], merged: `{7 8} ${BIG}` },
  { name: 'an AS4_PATH left empty', path: [sequence(65001)], path4: [], merged: '65001' },
];

describe('AS4_PATH', () => {
  for (const { name, path, path4, merged } of CASES) {
    test(`merges ${name}`, () => assert.equal(formatAsPath(mergeAs4Path(path, path4)), merged));
  }

  test('gives a path as long as AS_PATH, whatever both hold', () => {
    const asns = fc.array(fc.integer({ min: 1, max: 0xffffffff }), { minLength: 1, maxLength: 255 });
    const segment = fc.record({ kind: fc.constantFrom('sequence' as const, 'set' as const), asns });
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 4 }), fc.array(segment, { maxLength: 4 }), (path, path4) => {
        const merged = mergeAs4Path(path, path4);
        assert.equal(countAses(merged), countAses(path));
        assert.ok(merged.every(({ asns }) => asns.length > 0 && asns.length <= 255));
      }),
    );
  });
});
