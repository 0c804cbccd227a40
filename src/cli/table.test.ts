import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTable } from './table.ts';

test('columns are as wide as their widest cell and an empty cell shows as a dash', () => {
  const text = formatTable(
    ['NAME', 'STATE'],
    [
      ['node11', 'ready'],
      ['n', ''],
    ],
  );
  assert.equal(text, 'NAME     STATE\nnode11   ready\nn        -');
});

test('a table without rows is its header', () => {
  assert.equal(formatTable(['NAME'], []), 'NAME');
});
