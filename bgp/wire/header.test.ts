import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHex } from './hex.ts';
import { decodeMessage } from './message.ts';
import { FULL_CONTEXT, outcome } from './testing.ts';

const MARKER = 'ffffffffffffffffffffffffffffffff';
const EXTENDED = { ...FULL_CONTEXT, extendedMessages: true };

/** Headers and the NOTIFICATION each earns · RFC 4271 §6.1. Where a body is long, it is zeros. */
const CASES: readonly { name: string; hex: string; bytes?: number; extended?: boolean; error: string }[] = [
  { name: 'a marker with a zero in it', hex: 'ffffffffffffffffffffffffffffff7f 0013 04', error: '1/1' },
  { name: 'another protocol', hex: '474554202f20485454502f312e310d0a486f73', error: '1/1' },
  { name: 'a length below the header', hex: `${MARKER} 0012 04`, error: '1/2 0012' },
  { name: 'a length of 5', hex: `${MARKER} 0005 04`, error: '1/2 0005' },
  { name: 'a length of 4097', hex: `${MARKER} 1001 02`, error: '1/2 1001' },
  { name: 'a KEEPALIVE of 20 bytes', hex: `${MARKER} 0014 04 00`, error: '1/2 0014' },
  { name: 'an OPEN of 28 bytes', hex: `${MARKER} 001c 01`, bytes: 28, error: '1/2 001c' },
  { name: 'an UPDATE of 22 bytes', hex: `${MARKER} 0016 02`, bytes: 22, error: '1/2 0016' },
  { name: 'a NOTIFICATION of 20 bytes', hex: `${MARKER} 0014 03 06`, error: '1/2 0014' },
  { name: 'a ROUTE-REFRESH of 21 bytes', hex: `${MARKER} 0015 05 0001`, error: '1/2 0015' },
  { name: 'type 0', hex: `${MARKER} 0013 00`, error: '1/3 00' },
  { name: 'the dynamic CAPABILITY message', hex: `${MARKER} 0017 06 00000000`, error: '1/3 06' },
  { name: 'type 9', hex: `${MARKER} 0013 09`, error: '1/3 09' },
  { name: 'the old route refresh', hex: `${MARKER} 0017 80 00010001`, error: '1/3 80' },
  {
    name: 'a long OPEN with extended messages',
    hex: `${MARKER} 1001 01`,
    bytes: 4097,
    extended: true,
    error: '1/2 1001',
  },
  { name: 'an extended UPDATE', hex: `${MARKER} 1001 02`, bytes: 4097, extended: true, error: 'none' },
];

describe('message header', () => {
  for (const { name, hex, bytes, extended, error } of CASES) {
    test(`answers ${name} with ${error}`, () => {
      const given = parseHex(hex);
      const message = new Uint8Array(bytes ?? given.length);
      message.set(given);
      assert.equal(
        outcome(() => decodeMessage(message, extended === true ? EXTENDED : FULL_CONTEXT)),
        error,
      );
    });
  }
});
