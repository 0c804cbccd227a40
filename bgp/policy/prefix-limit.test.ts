import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeLimit, type PrefixLimit } from './prefix-limit.ts';

const rows: readonly [
  name: string,
  limit: Omit<PrefixLimit, 'action'>,
  received: number,
  accepted: number,
  is: string,
][] = [
  ['few prefixes', { received: 10 }, 7, 7, 'below received 7/10'],
  ['80 % of the limit', { received: 10 }, 8, 8, 'warning received 8/10'],
  ['the limit itself', { received: 10 }, 10, 10, 'warning received 10/10'],
  ['one more', { received: 10 }, 11, 0, 'exceeded received 11/10'],
  ['another warning level', { received: 10, warnPercent: 50 }, 5, 0, 'warning received 5/10'],
  ['refused ones do not count as accepted', { accepted: 10 }, 100, 3, 'below accepted 3/10'],
  ['too many accepted', { accepted: 10 }, 100, 11, 'exceeded accepted 11/10'],
  ['the nearer of both limits', { received: 100, accepted: 10 }, 20, 9, 'warning accepted 9/10'],
  ['a limit of none', { received: 0 }, 1, 0, 'exceeded received 1/0'],
  ['no limit', {}, 1_000_000, 1_000_000, 'below received 1000000/Infinity'],
];
for (const [name, limit, received, accepted, is] of rows) {
  test(`prefix limit: ${name}`, () => {
    const { state, counted, count, limit: of } = judgeLimit({ ...limit, action: 'warn' }, { received, accepted });
    assert.equal(`${state} ${counted} ${count}/${of}`, is);
  });
}
