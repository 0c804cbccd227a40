/** Whatever the fuzzer has ever found stays fixed, and what it does to a message is repeatable. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { WireContext } from '../../bgp/wire/context.ts';
import { CONTEXTS, findFault } from './bgp.ts';
import { mutate, seeded } from './mutate.ts';

const root = new URL('../../test/fixtures/bgp/', import.meta.url).pathname;

interface Finding {
  readonly fault: string;
  readonly context: WireContext;
  readonly cut: number;
  readonly hex: string;
}

test('every finding kept is without fault now', () => {
  for (const file of globSync(`${root}fuzz/*.json`)) {
    const { hex, context, cut } = JSON.parse(readFileSync(file, 'utf8')) as Finding;
    assert.equal(findFault(Uint8Array.from(Buffer.from(hex, 'hex')), context, cut), undefined, file);
  }
});

test('recorded messages have no fault in any kind of session', () => {
  const recorded = JSON.parse(readFileSync(`${root}messages.json`, 'utf8')) as readonly { readonly hex: string }[];
  for (const [index, { hex }] of recorded.entries()) {
    const bytes = Uint8Array.from(Buffer.from(hex, 'hex'));
    const context = CONTEXTS[index % CONTEXTS.length];
    assert.ok(context !== undefined);
    assert.equal(findFault(bytes, context, index % bytes.length), undefined, `message ${index}`);
  }
});

test('a seed always makes the same messages, and 2,000 of them have no fault', () => {
  const start = Uint8Array.from(
    Buffer.from(`${'ff'.repeat(16)}002a020000000f400101004002004003040a00000120cb007101`, 'hex'),
  );
  const make = (): string[] => {
    const random = seeded(7);
    return Array.from({ length: 2000 }, () => Buffer.from(mutate(start, [start], random)).toString('hex'));
  };
  const made = make();
  assert.deepEqual(make(), made);
  for (const [index, hex] of made.entries()) {
    const context = CONTEXTS[index % CONTEXTS.length];
    assert.ok(context !== undefined);
    assert.equal(findFault(Uint8Array.from(Buffer.from(hex, 'hex')), context, 20), undefined, hex);
  }
});
