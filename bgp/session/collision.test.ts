import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import { type Initiator, resolveCollision, type Speaker } from './collision.ts';
import type { State } from './fsm.ts';

const low: Speaker = { routerId: parseIp('192.0.2.9'), as: 65001 };
const high: Speaker = { routerId: parseIp('192.0.2.10'), as: 65002 };

const rows: readonly [received: Initiator, other: Initiator, state: State, weAreHigher: boolean, verdict: string][] = [
  // RFC 4271 §6.8: the connection dialled by the higher identifier stays.
  ['remote', 'local', 'open-confirm', true, 'close-received'],
  ['local', 'remote', 'open-confirm', true, 'close-other'],
  ['remote', 'local', 'open-confirm', false, 'close-other'],
  ['local', 'remote', 'open-confirm', false, 'close-received'],
  ['remote', 'local', 'established', false, 'close-other'],
  ['local', 'remote', 'established', false, 'close-received'],
  // One OPEN has told the identifier: the loser goes before it is Established.
  ['remote', 'local', 'open-sent', true, 'close-received'],
  ['remote', 'local', 'open-sent', false, 'close-other'],
  ['local', 'remote', 'open-sent', true, 'close-other'],
  // A connection that is still being dialled may never come up.
  ['remote', 'local', 'connect', true, 'keep-both'],
  ['remote', 'local', 'connect', false, 'close-other'],
  ['remote', 'local', 'active', false, 'close-other'],
  // The peer dialled twice: the first one is given up.
  ['remote', 'remote', 'open-confirm', true, 'close-other'],
  ['remote', 'remote', 'established', true, 'close-other'],
];

for (const [received, other, state, weAreHigher, verdict] of rows) {
  test(`OPEN on a ${received} connection, ${other} one in ${state}, we ${weAreHigher ? 'higher' : 'lower'}: ${verdict}`, () => {
    const [local, remote] = weAreHigher ? [high, low] : [low, high];
    assert.equal(resolveCollision({ local, remote, received, other: { initiator: other, state } }), verdict);
  });
}

test('both ends close the same connection, for any pair of identifiers and ASes', () => {
  const ids = ['0.0.0.1', '10.0.0.1', '10.0.0.2', '223.255.255.255'].map(parseIp);
  for (const a of ids) {
    for (const b of ids) {
      const one = { routerId: a, as: 1 };
      const two = { routerId: b, as: 2 };
      // Connection X was dialled by one, Y by two; each end has heard the OPEN of X and now hears that of Y.
      const atOne = resolveCollision({
        local: one,
        remote: two,
        received: 'remote',
        other: { initiator: 'local', state: 'open-confirm' },
      });
      const atTwo = resolveCollision({
        local: two,
        remote: one,
        received: 'local',
        other: { initiator: 'remote', state: 'established' },
      });
      assert.equal(atOne, atTwo, `${a} and ${b}`);
    }
  }
});
