import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePrefix } from '#net';
import { pool } from '../test/support/ipam-node.ts';
import { assign, newBlock } from './block.ts';
import { lendersOf } from './borrow.ts';
import { DEFAULT_SETTINGS } from './context.ts';

const POOLS = [pool('p', '10.9.0.0/24', 28)];

interface Row {
  readonly cidr: string;
  readonly owner: string | undefined;
  readonly isFull?: boolean;
}

function lenders(
  rows: readonly Row[],
  deviation: { readonly confirmed?: readonly string[]; readonly strict?: boolean } = {},
): readonly string[] {
  const listed = rows.map(({ cidr, owner, isFull = false }, index) => {
    const block = newBlock(parsePrefix(cidr), owner, 1);
    const filled = assign(block, { handle: 'h', attributes: {}, count: block.allocations.length }, 1);
    assert.ok(filled.kind === 'assigned');
    return { value: isFull ? filled.block : block, revision: String(index) };
  });
  const settings = () => ({ ...DEFAULT_SETTINGS, strictAffinity: deviation.strict ?? false });
  const confirmed = new Set((deviation.confirmed ?? []).map((cidr) => parsePrefix(cidr)));
  return lendersOf({ listed, pools: POOLS, confirmed, context: { node: 'a', settings } }).map(
    ({ value }) => value.cidr,
  );
}

describe('lenders', () => {
  const other = { cidr: '10.9.0.0/28', owner: 'b' };
  const cases: readonly { readonly name: string; readonly rows: readonly Row[]; readonly gives: readonly string[] }[] =
    [
      { name: "another node's block with room lends", rows: [other], gives: ['10.9.0.0/28'] },
      { name: 'a block that nobody owns lends', rows: [{ ...other, owner: undefined }], gives: ['10.9.0.0/28'] },
      { name: 'a full one does not', rows: [{ ...other, isFull: true }], gives: [] },
      { name: 'one outside the pools does not', rows: [{ ...other, cidr: '10.8.0.0/28' }], gives: [] },
      { name: 'of two that overlap neither does', rows: [other, { cidr: '10.9.0.4/30', owner: 'c' }], gives: [] },
      { name: 'one in our name that is not confirmed does not', rows: [{ ...other, owner: 'a' }], gives: [] },
    ];
  for (const { name, rows, gives } of cases) {
    test(name, () => assert.deepEqual(lenders(rows), gives));
  }

  const many = ['10.9.0.0/28', '10.9.0.64/28', '10.9.0.128/28'].map((cidr) => ({ cidr, owner: 'b' }));

  test('an own block with room comes first', () => {
    const own = { cidr: '10.9.0.240/28', owner: 'a' };
    assert.equal(lenders([...many, own], { confirmed: [own.cidr] })[0], own.cidr);
  });

  test('strict affinity leaves only own ones', () => {
    const own = { cidr: '10.9.0.240/28', owner: 'a' };
    assert.deepEqual(lenders([...many, own], { confirmed: [own.cidr], strict: true }), [own.cidr]);
  });
});
