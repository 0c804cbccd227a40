import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ipFromBytes, parseIp } from '#net';
import * as fc from 'fast-check';
import type { Capability } from './capability.ts';
import { formatHex, parseHex } from './hex.ts';
import { decodeMessage } from './message.ts';
import { decodeOpen, encodeOpen, formatOpen, type OpenMessage } from './open.ts';
import { cutMessage, FULL_CONTEXT, messageOf, outcome, type Vector } from './testing.ts';

/** Plain objects, as decoders make them. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const MARKER = 'ffffffffffffffffffffffffffffffff';

/** Vectors in the form we write ourselves: they decode to `value` and `value` encodes to them. */
const VECTORS: readonly Vector<OpenMessage>[] = [
  {
    name: 'an OPEN without parameters',
    hex: `${MARKER} 001d 01 04 fde9 005a c0000201 00`,
    value: {
      type: 'open',
      version: 4,
      as: 65001,
      holdTimeSec: 90,
      routerId: parseIp('192.0.2.1'),
      capabilities: [],
    },
    text: 'OPEN version 4, as 65001, hold time 90s, id 192.0.2.1, capabilities: none',
    source: 'RFC 4271 §4.2, by hand',
  },
  {
    name: 'an OPEN of BIRD with all its capabilities in one parameter',
    hex: `${MARKER} 0035 01 04 fdea 00f0 c0000202 18
      0216 01 04 00010001 02 00 40 02 0078 41 04 0000fdea 46 00 47 00`,
    value: {
      type: 'open',
      version: 4,
      as: 65002,
      holdTimeSec: 240,
      routerId: parseIp('192.0.2.2'),
      capabilities: [
        { kind: 'multiprotocol', afi: 1, safi: 1 },
        { kind: 'route-refresh' },
        { kind: 'graceful-restart', restarting: false, notification: false, restartTimeSec: 120, families: [] },
        { kind: 'four-octet-as', as: 65002 },
        { kind: 'enhanced-route-refresh' },
        { kind: 'unknown', value: 71, data: new Uint8Array(0) },
      ],
    },
    text:
      'OPEN version 4, as 65002, hold time 240s, id 192.0.2.2, capabilities: multiprotocol 1/1, route-refresh, ' +
      'graceful-restart 120s, four-octet-as 65002, enhanced-route-refresh, unknown(71)',
    source: 'BIRD 2.0.12, test/fixtures/bgp as2-openbgpd-bird',
  },
  {
    name: 'an OPEN after a restart that kept its forwarding state',
    hex: `${MARKER} 0039 01 04 5ba0 0000 0a000001 1c
      021a 01 04 00020001 06 00 40 0a c0b4 0001 01 80 0002 01 00 41 04 fa56ea01`,
    value: {
      type: 'open',
      version: 4,
      as: 23456,
      holdTimeSec: 0,
      routerId: parseIp('10.0.0.1'),
      capabilities: [
        { kind: 'multiprotocol', afi: 2, safi: 1 },
        { kind: 'extended-message' },
        {
          kind: 'graceful-restart',
          restarting: true,
          notification: true,
          restartTimeSec: 180,
          families: [
            { afi: 1, safi: 1, forwarding: true },
            { afi: 2, safi: 1, forwarding: false },
          ],
        },
        { kind: 'four-octet-as', as: 4200000001 },
      ],
    },
    text:
      'OPEN version 4, as 23456, hold time 0s, id 10.0.0.1, capabilities: multiprotocol 2/1, extended-message, ' +
      'graceful-restart 180s R N 1/1 F 2/1, four-octet-as 4200000001',
    source: 'RFC 4724 §3, RFC 8538 §2, RFC 6793 §3, by hand',
  },
  {
    name: 'an OPEN with more parameters than one octet can count',
    hex: `${MARKER} 0127 01 04 fde9 005a c0000201 ff ff 0107 02 0104 49 80 ${'61'.repeat(128)} 4b 80 ${'62'.repeat(128)}`,
    value: {
      type: 'open',
      version: 4,
      as: 65001,
      holdTimeSec: 90,
      routerId: parseIp('192.0.2.1'),
      capabilities: [
        { kind: 'unknown', value: 73, data: new Uint8Array(128).fill(0x61) },
        { kind: 'unknown', value: 75, data: new Uint8Array(128).fill(0x62) },
      ],
    },
    text:
      'OPEN version 4, as 65001, hold time 90s, id 192.0.2.1, capabilities: ' +
      `unknown(73) ${'61'.repeat(128)}, unknown(75) ${'62'.repeat(128)}`,
    source: 'RFC 9072 §2, by hand',
  },
];

/** Bodies of OPENs that must not be accepted, and the NOTIFICATION each earns: `code/subcode data`. */
const REFUSED: readonly { readonly name: string; readonly body: string; readonly error: string }[] = [
  { name: 'version 3', body: '03 fde9 005a c0000201 00', error: '2/1 0004' },
  { name: 'version 5', body: '05 fde9 005a c0000201 00', error: '2/1 0004' },
  { name: 'as 0', body: '04 0000 005a c0000201 00', error: '2/2' },
  { name: 'four-octet as 0', body: '04 5ba0 005a c0000201 08 02 06 41 04 00000000', error: '2/2' },
  { name: 'hold time 1', body: '04 fde9 0001 c0000201 00', error: '2/6 0001' },
  { name: 'hold time 2', body: '04 fde9 0002 c0000201 00', error: '2/6 0002' },
  { name: 'identifier 0.0.0.0', body: '04 fde9 005a 00000000 00', error: '2/3' },
  { name: 'an unknown parameter', body: '04 fde9 005a c0000201 04 63 02 0000', error: '2/4' },
  { name: 'the withdrawn authentication parameter', body: '04 fde9 005a c0000201 03 01 01 00', error: '2/4' },
  { name: 'parameters longer than the message', body: '04 fde9 005a c0000201 20 02 02 0200', error: '2/0' },
  { name: 'bytes behind the parameters', body: '04 fde9 005a c0000201 04 02 02 0200 00', error: '2/0' },
  { name: 'an end right after a parameter type', body: '04 fde9 005a c0000201 01 02', error: '2/0' },
  { name: 'a parameter longer than the rest', body: '04 fde9 005a c0000201 04 02 04 0200', error: '2/0' },
  { name: 'a capability longer than its parameter', body: '04 fde9 005a c0000201 04 02 02 0204', error: '2/0' },
  { name: 'a capability without length', body: '04 fde9 005a c0000201 03 02 01 02', error: '2/0' },
  { name: 'extended parameters without a length', body: '04 fde9 005a c0000201 ff ff', error: '2/0' },
  { name: 'extended parameters with half a length', body: '04 fde9 005a c0000201 ff ff 00', error: '2/0' },
  { name: 'extended parameters longer than the message', body: '04 fde9 005a c0000201 ff ff 0100 02', error: '2/0' },
  { name: 'extended parameters with too few octets', body: '04 fde9 005a c0000201 ff ff 0002 02 00', error: '2/0' },
  { name: 'a four-octet as of two octets', body: '04 fde9 005a c0000201 06 02 04 41 02 fde9', error: '2/0' },
  { name: 'multiprotocol of three octets', body: '04 fde9 005a c0000201 07 02 05 01 03 000100', error: '2/0' },
  { name: 'graceful restart with half a family', body: '04 fde9 005a c0000201 08 02 06 40 04 00780001', error: '2/0' },
  { name: 'route refresh with a value', body: '04 fde9 005a c0000201 05 02 03 02 01 00', error: '2/0' },
];

describe('OPEN', () => {
  for (const { name, hex, value, text, source } of VECTORS) {
    test(`decodes ${name} (${source})`, () => {
      assert.deepEqual(decodeMessage(parseHex(hex), FULL_CONTEXT), value);
    });
    test(`encodes ${name}`, () => {
      assert.equal(formatHex(encodeOpen(value)), hex.replaceAll(/\s/g, ''));
    });
    test(`formats ${name}`, () => {
      assert.equal(formatOpen(value), text);
    });
    test(`refuses ${name} cut short anywhere`, () => {
      const whole = parseHex(hex);
      for (let length = 0; length < whole.length; length += 1) {
        const missing = outcome(() => decodeMessage(whole.slice(0, length), FULL_CONTEXT));
        assert.match(missing, /^1\/2/, `${length} bytes of ${whole.length}`);
        if (length < 19) continue;
        const short = outcome(() => decodeMessage(cutMessage(whole, length), FULL_CONTEXT));
        assert.match(short, length < 29 ? /^1\/2/ : /^2\/0/, `a message of ${length} bytes`);
      }
    });
  }

  for (const { name, body, error } of REFUSED) {
    test(`answers ${name} with ${error}`, () => {
      assert.equal(
        outcome(() => decodeMessage(messageOf(1, body), FULL_CONTEXT)),
        error,
      );
    });
  }

  test('keeps the capabilities of several parameters, repeated ones too, in order', () => {
    const body = '04 fde9 005a c0000201 0c 02 02 0200 02 06 0104 00010001';
    const message = decodeOpen(messageOf(1, body));
    assert.deepEqual(message.capabilities, [{ kind: 'route-refresh' }, { kind: 'multiprotocol', afi: 1, safi: 1 }]);
  });

  test('reads extended parameters whatever non-zero length precedes them (RFC 9072 §2)', () => {
    const message = decodeOpen(messageOf(1, '04 fde9 005a c0000201 08 ff 0005 02 0002 0200'));
    assert.deepEqual(message.capabilities, [{ kind: 'route-refresh' }]);
  });

  test('decodes what it encoded, for any capabilities', () => {
    const u16 = fc.integer({ min: 0, max: 0xffff });
    const u8 = fc.integer({ min: 0, max: 255 });
    const capability: fc.Arbitrary<Capability> = fc.oneof(
      record({ kind: fc.constant('multiprotocol' as const), afi: u16, safi: u8 }),
      fc.constantFrom<Capability>(
        { kind: 'route-refresh' },
        { kind: 'extended-message' },
        { kind: 'enhanced-route-refresh' },
      ),
      record({
        kind: fc.constant('graceful-restart' as const),
        restarting: fc.boolean(),
        notification: fc.boolean(),
        restartTimeSec: fc.integer({ min: 0, max: 4095 }),
        families: fc.array(record({ afi: u16, safi: u8, forwarding: fc.boolean() }), { maxLength: 8 }),
      }),
      record({ kind: fc.constant('four-octet-as' as const), as: fc.integer({ min: 1, max: 0xffffffff }) }),
      record({
        kind: fc.constant('unknown' as const),
        value: fc.integer({ min: 71, max: 255 }),
        data: fc.uint8Array({ maxLength: 255 }),
      }),
    );
    const open: fc.Arbitrary<OpenMessage> = record({
      type: fc.constant('open' as const),
      version: fc.constant(4),
      as: fc.integer({ min: 1, max: 0xffff }),
      holdTimeSec: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 0xffff })),
      routerId: fc
        .uint8Array({ minLength: 4, maxLength: 4 })
        .filter((bytes) => bytes.some((byte) => byte !== 0))
        .map(ipFromBytes),
      capabilities: fc.array(capability, { maxLength: 12 }),
    });
    fc.assert(
      fc.property(open, (message) => assert.deepEqual(decodeMessage(encodeOpen(message), FULL_CONTEXT), message)),
    );
  });
});
