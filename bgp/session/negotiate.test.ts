import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import type { Capability } from '../wire/capability.ts';
import { INITIAL_CONTEXT } from '../wire/context.ts';
import { decodeMessage, encodeMessage } from '../wire/message.ts';
import type { OpenMessage } from '../wire/open.ts';
import { buildOpen, type LocalParameters, negotiate } from './negotiate.ts';

const local: LocalParameters = {
  as: 65001,
  peerAs: 65002,
  routerId: parseIp('192.0.2.1'),
  holdTimeSec: 90,
  families: [4, 6],
  gracefulRestart: { restartTimeSec: 120, restarting: false, forwarding: true },
};
const theirs = buildOpen({ ...local, as: 65002, peerAs: 65001, routerId: parseIp('192.0.2.2') });

function without(...kinds: readonly Capability['kind'][]): OpenMessage {
  return { ...theirs, capabilities: theirs.capabilities.filter(({ kind }) => !kinds.includes(kind)) };
}

const refused: readonly {
  name: string;
  open: OpenMessage;
  local?: Partial<LocalParameters>;
  error: string;
  data: string;
}[] = [
  { name: 'version 3 (§6.2)', open: { ...theirs, version: 3 }, error: '2/1', data: '0004' },
  { name: 'another AS than configured (§6.2)', open: theirs, local: { peerAs: 65009 }, error: '2/2', data: 'fdea' },
  { name: 'a zero router id (§6.2)', open: { ...theirs, routerId: parseIp('0.0.0.0') }, error: '2/3', data: '' },
  {
    name: 'our own router id inside one AS (RFC 6286 §2.2)',
    open: { ...theirs, as: 65001, routerId: local.routerId, capabilities: [{ kind: 'four-octet-as', as: 65001 }] },
    local: { peerAs: 65001 },
    error: '2/3',
    data: '',
  },
  { name: 'hold time 1 (§6.2)', open: { ...theirs, holdTimeSec: 1 }, error: '2/6', data: '0001' },
  { name: 'hold time 2 (§6.2)', open: { ...theirs, holdTimeSec: 2 }, error: '2/6', data: '0002' },
  {
    name: 'no common family (RFC 5492 §5)',
    open: {
      ...theirs,
      capabilities: [
        { kind: 'multiprotocol', afi: 25, safi: 70 },
        { kind: 'four-octet-as', as: 65002 },
      ],
    },
    error: '2/7',
    data: '010400010001010400020001',
  },
];

for (const row of refused) {
  test(`an OPEN with ${row.name} is refused with ${row.error}`, () => {
    const result = negotiate({ ...local, ...row.local }, row.open);
    assert.ok(!result.ok);
    const { code, subcode, data } = result.error;
    assert.equal(`${code}/${subcode}`, row.error);
    assert.equal(Buffer.from(data).toString('hex'), row.data);
  });
}

test('the same router id in another AS is fine (RFC 6286)', () => {
  assert.ok(negotiate(local, { ...theirs, routerId: local.routerId }).ok);
});

test('both sides compute the same hold time, families and type', () => {
  const mine = negotiate({ ...local, holdTimeSec: 30 }, { ...theirs, holdTimeSec: 240 });
  assert.ok(mine.ok);
  assert.equal(mine.negotiated.holdTimeSec, 30);
  assert.equal(mine.negotiated.keepaliveSec, 10);
  assert.equal(mine.negotiated.peerType, 'ebgp');
  assert.deepEqual(mine.negotiated.families, [4, 6]);
  assert.equal(mine.negotiated.context.fourOctetAs, true);
});

test('a peer without capabilities speaks IPv4 with two-octet ASes and no graceful restart', () => {
  const result = negotiate(local, { ...theirs, capabilities: [] });
  assert.ok(result.ok);
  assert.deepEqual(result.negotiated.families, [4]);
  assert.equal(result.negotiated.context.fourOctetAs, false);
  assert.equal(result.negotiated.gracefulRestart, undefined);
});

test('the four-octet AS wins over the two-octet field, which then says AS_TRANS', () => {
  const open = buildOpen({ ...local, as: 4_200_000_001 });
  assert.equal(open.as, 23456);
  const result = negotiate({ ...local, peerAs: 4_200_000_001 }, open);
  assert.ok(result.ok && result.negotiated.peerAs === 4_200_000_001);
});

test('graceful restart needs both sides; the bits arrive as sent', () => {
  assert.equal(resultOf(local, without('graceful-restart')).gracefulRestart, undefined);
  assert.equal(resultOf({ ...local, gracefulRestart: undefined }, theirs).gracefulRestart, undefined);
  assert.deepEqual(resultOf(local, theirs).gracefulRestart, {
    restarting: false,
    notification: true,
    restartTimeSec: 120,
    families: [
      { family: 4, forwarding: true },
      { family: 6, forwarding: true },
    ],
  });
});

test('route refresh and its markers count only when the peer has said so', () => {
  const { routeRefresh, enhancedRefresh } = resultOf(local, theirs);
  assert.deepEqual([routeRefresh, enhancedRefresh], [true, true]);
  const plain = resultOf(local, without('route-refresh', 'enhanced-route-refresh'));
  assert.deepEqual([plain.routeRefresh, plain.enhancedRefresh], [false, false]);
});

test('our OPEN survives the codec', () => {
  const open = buildOpen(local);
  assert.deepEqual(decodeMessage(encodeMessage(open, INITIAL_CONTEXT), INITIAL_CONTEXT), open);
});

function resultOf(parameters: LocalParameters, open: OpenMessage) {
  const result = negotiate(parameters, open);
  assert.ok(result.ok);
  return result.negotiated;
}
