import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHex } from './hex.ts';
import { encodeKeepalive, formatKeepalive } from './keepalive.ts';
import { decodeMessage } from './message.ts';
import { FULL_CONTEXT } from './testing.ts';

test('KEEPALIVE is a header of 19 bytes (RFC 4271 §4.4)', () => {
  const bytes = encodeKeepalive();
  assert.equal(formatHex(bytes), `${'ff'.repeat(16)}001304`);
  assert.deepEqual(decodeMessage(bytes, FULL_CONTEXT), { type: 'keepalive' });
  assert.equal(formatKeepalive(), 'KEEPALIVE');
});
