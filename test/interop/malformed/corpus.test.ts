/** The corpus as data, for programs that want bytes only, is the corpus. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CORPUS } from './corpus.ts';

test('malformed.json is the corpus (else: node scripts/malformed.ts --write)', () => {
  const file = new URL('../../fixtures/bgp/malformed.json', import.meta.url);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), CORPUS);
});

test('rows have names of their own and whole octets', () => {
  assert.equal(new Set(CORPUS.map(({ name }) => name)).size, CORPUS.length);
  for (const { name, hex } of CORPUS) assert.match(hex, /^([0-9a-f]{2})+$/, name);
});
