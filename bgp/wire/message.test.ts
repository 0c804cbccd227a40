/**
 * No received byte may end the process: whatever comes in, decoding gives a message or a WireError, and a message that
 * was decoded can be shown, logged as JSON and sent on. The seed of a failing run is printed by fast-check.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Family } from '#net';
import * as fc from 'fast-check';
import { WireError } from '../errors.ts';
import type { WireContext } from './context.ts';
import { Framer } from './framing.ts';
import { formatHex, parseHex } from './hex.ts';
import { decodeMessage, encodeMessage, formatMessage, type Message } from './message.ts';
import { cutMessage, FULL_CONTEXT, messageOf } from './testing.ts';

const FILE = new URL('../../test/fixtures/bgp/messages.json', import.meta.url);
const RECORDED = (JSON.parse(readFileSync(FILE, 'utf8')) as readonly { readonly hex: string }[])
  .map((item) => parseHex(item.hex))
  .filter((bytes) => bytes.length < 200);

const context: fc.Arbitrary<WireContext> = fc.record({
  fourOctetAs: fc.boolean(),
  extendedMessages: fc.boolean(),
  peerType: fc.constantFrom('ebgp' as const, 'ibgp' as const),
  families: fc.constantFrom<readonly Family[]>([4, 6], [4], [6], []),
  extendedNextHop: fc.boolean(),
});

/** Everything a session does with bytes: decode, show, log, send on, and what it sent must be understood. */
function survive(bytes: Uint8Array, session: WireContext): void {
  let message: Message;
  try {
    message = decodeMessage(bytes, session);
  } catch (error) {
    assert.ok(error instanceof WireError, `${String(error)} for ${formatHex(bytes)}`);
    assert.ok(error.code >= 1 && error.code <= 7 && error.subcode >= 0 && error.subcode <= 11);
    encodeMessage({ type: 'notification', ...pick(error) }, session);
    return;
  }
  assert.ok(!formatMessage(message).includes('\n'));
  JSON.stringify(message);
  for (const sent of cut(encodeMessage(message, session))) {
    const again = decodeMessage(sent, session);
    if (again.type === 'update') assert.deepEqual(again.errors, [], formatHex(bytes));
    else assert.deepEqual(again, message);
  }
}

function pick({ code, subcode, data }: WireError): Pick<WireError, 'code' | 'subcode' | 'data'> {
  return { code, subcode, data };
}

function cut(stream: Uint8Array): Uint8Array[] {
  const framer = new Framer();
  framer.extendedMessages = true;
  return [...framer.push(stream)];
}

describe('messages', () => {
  test('survive any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), context, survive), { numRuns: 2000 });
  });

  test('survive any body behind a good header', () => {
    const type = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(type, fc.uint8Array({ maxLength: 300 }), context, (kind, body, session) =>
        survive(messageOf(kind, formatHex(body)), session),
      ),
      { numRuns: 4000 },
    );
  });

  test('survive any attributes in an UPDATE that is otherwise whole', () => {
    const item = fc
      .tuple(
        fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x50, 0x90, 0xd0, 0x00),
        fc.integer({ min: 0, max: 41 }),
        fc.uint8Array({ maxLength: 40 }),
      )
      .map(([flags, code, value]) =>
        (flags & 0x10) === 0 ? [flags, code, value.length, ...value] : [flags, code, 0, value.length, ...value],
      );
    const attributes = fc.array(item, { maxLength: 8 }).map((items) => items.flat());
    fc.assert(
      fc.property(attributes, fc.boolean(), context, (list, withRoutes, session) => {
        const length = list.length.toString(16).padStart(4, '0');
        const body = `0000 ${length} ${formatHex(Uint8Array.from(list))} ${withRoutes ? '18 0a0100' : ''}`;
        survive(messageOf(2, body), session);
      }),
      { numRuns: 4000 },
    );
  });

  test('survive recorded messages cut short anywhere', () => {
    for (const bytes of RECORDED) {
      for (let length = 0; length < bytes.length; length += 1) survive(bytes.subarray(0, length), FULL_CONTEXT);
      for (let length = 19; length < bytes.length; length += 1) survive(cutMessage(bytes, length), FULL_CONTEXT);
    }
  });

  test('survive recorded messages with bits flipped', () => {
    const flips = fc.array(fc.nat(), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...RECORDED), flips, context, (original, bits, session) => {
        const bytes = original.slice();
        for (const bit of bits) {
          // The header has tests of its own; flips there would mostly test the marker again.
          const at = 18 + ((bit >>> 3) % (bytes.length - 18));
          bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
        }
        survive(bytes, session);
      }),
      { numRuns: 6000 },
    );
  });

  test('survive every single bit of an UPDATE flipped', () => {
    const update = messageOf(
      2,
      `0003 100a02 0041 800e1c 0002 01 10 20010db8000000000000000000000001 00 30 20010db80001
       40010100 400206 0201 0000fde9 400304 c0000201 800404 00000001 c00804 fde90064 18 0a0100`,
    );
    assert.match(formatMessage(decodeMessage(update, FULL_CONTEXT)), /^UPDATE withdraw 10\.2.* announce .*65001:100$/);
    for (const session of [FULL_CONTEXT, { ...FULL_CONTEXT, fourOctetAs: false, peerType: 'ibgp' as const }]) {
      for (let bit = 0; bit < update.length * 8; bit += 1) {
        const bytes = update.slice();
        bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        survive(bytes, session);
      }
    }
  });
});
