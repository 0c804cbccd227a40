import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LineSplitter } from './lines.ts';

test('lines come out whole however the text is cut', () => {
  const line = fc.string({ minLength: 1 }).filter((text) => !text.includes('\n') && text.trim() !== '');
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(50)), (lines, cuts) => {
      let text = lines.map((one) => `${one}\n`).join('');
      const splitter = new LineSplitter(10_000);
      const seen: string[] = [];
      for (const cut of cuts) {
        seen.push(...splitter.push(text.slice(0, cut)));
        text = text.slice(cut);
      }
      seen.push(...splitter.push(text));
      assert.deepEqual(seen, lines);
    }),
  );
});

test('a line that does not end within the limit is refused', () => {
  const splitter = new LineSplitter(10);
  splitter.push('0123456789');
  assert.throws(() => splitter.push('x'), { message: 'a line is longer than 10 characters' });
});

test('empty lines are left out', () => assert.deepEqual(new LineSplitter(10).push('\n\r\na\n\n'), ['a']));
