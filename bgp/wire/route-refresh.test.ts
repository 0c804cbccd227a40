import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatHex, parseHex } from './hex.ts';
import { decodeMessage } from './message.ts';
import { encodeRouteRefresh, formatRouteRefresh, type RouteRefreshMessage } from './route-refresh.ts';
import { FULL_CONTEXT, messageOf, outcome, type Vector } from './testing.ts';

const MARKER = 'ffffffffffffffffffffffffffffffff';

const VECTORS: readonly Vector<RouteRefreshMessage>[] = [
  {
    name: 'a request',
    hex: `${MARKER} 0017 05 0001 00 01`,
    value: { type: 'route-refresh', afi: 1, safi: 1, subtype: 0 },
    text: 'ROUTE-REFRESH request 1/1',
    source: 'RFC 2918 §3, by hand',
  },
  {
    name: 'a begin marker',
    hex: `${MARKER} 0017 05 0002 01 01`,
    value: { type: 'route-refresh', afi: 2, safi: 1, subtype: 1 },
    text: 'ROUTE-REFRESH begin 2/1',
    source: 'RFC 7313 §3.2, by hand',
  },
  {
    name: 'an end marker',
    hex: `${MARKER} 0017 05 0001 02 01`,
    value: { type: 'route-refresh', afi: 1, safi: 1, subtype: 2 },
    text: 'ROUTE-REFRESH end 1/1',
    source: 'RFC 7313 §3.2, by hand',
  },
  {
    name: 'a subtype nobody has assigned, for the session to ignore',
    hex: `${MARKER} 0017 05 4004 07 85`,
    value: { type: 'route-refresh', afi: 16388, safi: 133, subtype: 7 },
    text: 'ROUTE-REFRESH subtype 7 16388/133',
    source: 'RFC 7313 §5, by hand',
  },
];

describe('ROUTE-REFRESH', () => {
  for (const { name, hex, value, text, source } of VECTORS) {
    test(`decodes, encodes and formats ${name} (${source})`, () => {
      assert.deepEqual(decodeMessage(parseHex(hex), FULL_CONTEXT), value);
      assert.equal(formatHex(encodeRouteRefresh(value)), hex.replaceAll(/\s/g, ''));
      assert.equal(formatRouteRefresh(value), text);
    });
  }

  test('answers a marker of a wrong length with 7/1 and the message, a request with 1/2', () => {
    const long = messageOf(5, '0001 01 01 00');
    assert.equal(
      outcome(() => decodeMessage(long, FULL_CONTEXT)),
      `7/1 ${formatHex(long)}`,
    );
    const filtered = messageOf(5, '0001 00 01 01 40 0000');
    assert.equal(
      outcome(() => decodeMessage(filtered, FULL_CONTEXT)),
      '1/2 001b',
    );
  });
});
