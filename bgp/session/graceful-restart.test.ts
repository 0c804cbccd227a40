import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Down } from './fsm.ts';
import { notification } from './fsm.ts';
import { Deferral, hardReset, retainedFamilies } from './graceful-restart.ts';
import type { PeerGracefulRestart } from './negotiate.ts';

const capable: PeerGracefulRestart = {
  restarting: false,
  notification: false,
  restartTimeSec: 120,
  families: [{ family: 4, forwarding: false }],
};
const withN = { ...capable, notification: true };
const cease = notification(6, 2);

const rows: readonly [name: string, down: Down, peer: PeerGracefulRestart | undefined, kept: readonly number[]][] = [
  ['a lost connection keeps the announced families (4724 §4.2)', lost(), capable, [4]],
  ['a lost connection of a peer without the capability keeps nothing', lost(), undefined, []],
  ['a NOTIFICATION ends it (4724 §4.2)', { cause: 'notification-received', notification: cease }, capable, []],
  ['a hold time that expires ends it', { cause: 'notification-sent', notification: notification(4, 0) }, capable, []],
  [
    'with the N bit a NOTIFICATION keeps (8538 §4)',
    { cause: 'notification-received', notification: cease },
    withN,
    [4],
  ],
  ['with the N bit the hold time keeps', { cause: 'notification-sent', notification: notification(4, 0) }, withN, [4]],
  [
    'a Hard Reset keeps nothing (8538 §3.1)',
    { cause: 'notification-received', notification: hardReset(cease) },
    withN,
    [],
  ],
  [
    'a lost collision keeps: the other connection goes on',
    { cause: 'notification-received', notification: notification(6, 7) },
    capable,
    [4],
  ],
  ['what we stopped ourselves keeps nothing', { cause: 'stopped', notification: undefined }, withN, []],
];

for (const [name, down, peer, kept] of rows) {
  test(name, () => assert.deepEqual(retainedFamilies(down, peer), kept));
}

test('a Hard Reset wraps the Cease it stands for', () => {
  assert.deepEqual(hardReset(notification(6, 3)), notification(6, 9, Uint8Array.of(6, 3)));
});

test('nothing is in sync before peers are configured, everything is without any', () => {
  const deferral = new Deferral();
  assert.equal(deferral.over, false);
  deferral.configure([], []);
  assert.equal(deferral.over, true);
});

test('every configured peer is waited for, a removed one is not, and the end is final', () => {
  const deferral = new Deferral();
  deferral.configure(['a', 'b', 'c'], []);
  deferral.complete('a');
  deferral.configure(['d'], ['b']);
  deferral.complete('c');
  assert.deepEqual([deferral.over, [...deferral.waiting]], [false, ['d']]);
  deferral.complete('d');
  assert.equal(deferral.over, true);
  deferral.configure(['e'], []);
  assert.equal(deferral.over, true);
});

function lost(): Down {
  return { cause: 'connection-lost', notification: undefined };
}
