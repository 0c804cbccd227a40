import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Framer } from './framing.ts';
import { formatHex } from './hex.ts';
import { messageOf, outcome } from './testing.ts';

/** Messages of all sizes a plain session may see, right at the borders included. */
const message = fc
  .oneof(fc.constantFrom(0, 1, 4, 236, 237, 4076, 4077), fc.integer({ min: 0, max: 300 }))
  .map((bodyBytes) => (bodyBytes < 4 ? messageOf(4, '') : messageOf(2, '00'.repeat(bodyBytes))));

/** Feeds a framer the way a socket does: the same memory is used again for the next chunk. */
function feed(framer: Framer, stream: Uint8Array, sizes: readonly number[]): string[] {
  const whole: string[] = [];
  let at = 0;
  for (let turn = 0; at < stream.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    const chunk = stream.slice(at, at + size);
    for (const bytes of framer.push(chunk)) whole.push(formatHex(bytes));
    chunk.fill(0);
    at += size;
  }
  return whole;
}

function join(messages: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(messages.flatMap((bytes) => [...bytes]));
}

describe('framing', () => {
  test('yields the same messages however the stream is cut', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9000 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), sizes, (messages, cuts) => {
        const framer = new Framer();
        assert.deepEqual(feed(framer, join(messages), cuts), messages.map(formatHex));
        assert.equal(framer.pendingBytes, 0);
      }),
      { numRuns: 60 },
    );
  });

  test('yields messages byte by byte', () => {
    const messages = [messageOf(4, ''), messageOf(2, '00000000'), messageOf(4, '')];
    assert.deepEqual(feed(new Framer(), join(messages), [1]), messages.map(formatHex));
  });

  test('never holds back more than one message less a byte', () => {
    const framer = new Framer();
    const stream = join([messageOf(2, '00'.repeat(4077)), messageOf(2, '00'.repeat(4077))]);
    for (let at = 0; at < stream.length; at += 7) {
      for (const bytes of framer.push(stream.slice(at, at + 7))) assert.equal(bytes.length, 4096);
      assert.ok(framer.pendingBytes < 4096, `${framer.pendingBytes} bytes held`);
    }
  });

  test('refuses a bad header as soon as it is whole, after the messages before it', () => {
    const bad = messageOf(4, '');
    bad[17] = 5;
    for (const sizes of [[1], [19], [100], [7, 3]]) {
      const framer = new Framer();
      const seen: string[] = [];
      const error = outcome(() => {
        seen.push(...feed(framer, join([messageOf(4, ''), bad]), sizes));
      });
      assert.equal(error, '1/2 0005', `cut in ${sizes.join()}`);
    }
  });

  test('yields the good messages of a chunk before it throws for the bad one', () => {
    const bad = messageOf(4, '').fill(0, 0, 16);
    const seen: number[] = [];
    const error = outcome(() => {
      for (const bytes of new Framer().push(join([messageOf(4, ''), messageOf(4, ''), bad]))) seen.push(bytes.length);
    });
    assert.equal(error, '1/1');
    assert.deepEqual(seen, [19, 19]);
  });

  test('takes messages above 4096 bytes only once extended messages are agreed', () => {
    const long = messageOf(2, '00'.repeat(9000));
    assert.equal(
      outcome(() => feed(new Framer(), long, [1000])),
      '1/2 233b',
    );
    const framer = new Framer();
    framer.extendedMessages = true;
    assert.deepEqual(feed(framer, long, [1000]), [formatHex(long)]);
  });
});
