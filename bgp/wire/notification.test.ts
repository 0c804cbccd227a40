import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { formatHex, parseHex } from './hex.ts';
import { decodeMessage } from './message.ts';
import {
  describeError,
  encodeNotification,
  encodeShutdownText,
  formatNotification,
  type NotificationMessage,
  shutdownCommunication,
} from './notification.ts';
import { cutMessage, FULL_CONTEXT, outcome, type Vector } from './testing.ts';

const MARKER = 'ffffffffffffffffffffffffffffffff';

const VECTORS: readonly Vector<NotificationMessage>[] = [
  {
    name: 'an expired hold timer',
    hex: `${MARKER} 0015 03 04 00`,
    value: { type: 'notification', code: 4, subcode: 0, data: parseHex('') },
    text: 'NOTIFICATION 4/0 hold timer expired',
    source: 'RFC 4271 §4.5, by hand',
  },
  {
    name: 'a bad peer as with the as it saw',
    hex: `${MARKER} 0019 03 02 02 0000fe1f`,
    value: { type: 'notification', code: 2, subcode: 2, data: parseHex('0000fe1f') },
    text: 'NOTIFICATION 2/2 open message error, bad peer as: 0000fe1f',
    source: 'BIRD 2.0.12, test/fixtures/bgp probe-bird:bad-as',
  },
  {
    name: 'a shutdown with the operator’s words',
    hex: `${MARKER} 0023 03 06 02 0d 6f70656e6267706420746578 74`,
    value: { type: 'notification', code: 6, subcode: 2, data: parseHex('0d6f70656e626770642074657874') },
    text: 'NOTIFICATION 6/2 cease, administrative shutdown: "openbgpd text"',
    source: 'OpenBGPD 7.7, test/fixtures/bgp, RFC 9003 §2',
  },
  {
    name: 'a code nobody has assigned',
    hex: `${MARKER} 0016 03 ff fe 01`,
    value: { type: 'notification', code: 255, subcode: 254, data: parseHex('01') },
    text: 'NOTIFICATION 255/254 unknown error: 01',
    source: 'by hand',
  },
];

describe('NOTIFICATION', () => {
  for (const { name, hex, value, text, source } of VECTORS) {
    test(`decodes, encodes and formats ${name} (${source})`, () => {
      assert.deepEqual(decodeMessage(parseHex(hex), FULL_CONTEXT), value);
      assert.equal(formatHex(encodeNotification(value)), hex.replaceAll(/\s/g, ''));
      assert.equal(formatNotification(value), text);
    });
    test(`takes ${name} cut short for what is left of it`, () => {
      const whole = parseHex(hex);
      for (let length = 19; length < whole.length; length += 1) {
        const error = outcome(() => decodeMessage(cutMessage(whole, length), FULL_CONTEXT));
        assert.match(error, length < 21 ? /^1\/2/ : /^none$/);
      }
    });
  }

  test('carries a text of at most 255 bytes and cuts it at a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        const data = encodeShutdownText(text);
        assert.ok(data.length <= 256);
        const back = shutdownCommunication({ type: 'notification', code: 6, subcode: 2, data }) ?? '';
        assert.ok(!back.includes('\uFFFD') || /\p{C}/u.test(text) || text.includes('\uFFFD'));
      }),
    );
    const data = encodeShutdownText('maintenance');
    assert.equal(shutdownCommunication({ type: 'notification', code: 6, subcode: 4, data }), 'maintenance');
  });

  test('reads no text where there is none to read', () => {
    const cases = [
      { code: 6, subcode: 2, data: '' },
      { code: 6, subcode: 2, data: '00' },
      { code: 6, subcode: 2, data: '056162' },
      { code: 6, subcode: 9, data: '026162' },
      { code: 2, subcode: 2, data: '026162' },
    ];
    for (const { code, subcode, data } of cases) {
      assert.equal(shutdownCommunication({ type: 'notification', code, subcode, data: parseHex(data) }), undefined);
    }
  });

  test('shows no control characters of a peer to a terminal', () => {
    const data = encodeShutdownText('a\u001b[2Jb\nc');
    assert.equal(shutdownCommunication({ type: 'notification', code: 6, subcode: 2, data }), 'a\uFFFD[2Jb\uFFFDc');
  });

  test('cuts data so that the message keeps to 4096 bytes', () => {
    const data = new Uint8Array(60_000);
    assert.equal(encodeNotification({ type: 'notification', code: 3, subcode: 1, data }).length, 4096);
  });

  test('names unknown subcodes of known codes', () => {
    assert.equal(describeError(6, 77), 'cease, unknown subcode');
    assert.equal(describeError(3, 10), 'update message error, invalid network field');
  });
});
