import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Family, parseIp } from '#net';
import { formatNotification } from '../wire/notification.ts';
import { type Action, createSession, notification, type Session, type SessionEvent, type State, step } from './fsm.ts';
import { buildOpen, type LocalParameters } from './negotiate.ts';

const families: readonly Family[] = [4, 6];
const local: LocalParameters = {
  as: 65001,
  peerAs: 65002,
  routerId: parseIp('192.0.2.1'),
  holdTimeSec: 90,
  families,
  gracefulRestart: { restartTimeSec: 120, restarting: false, forwarding: false },
};
const peer: LocalParameters = { ...local, as: 65002, peerAs: 65001, routerId: parseIp('192.0.2.2'), holdTimeSec: 30 };

const update = {
  type: 'update',
  withdrawn: [],
  announced: [],
  attributes: undefined,
  endOfRib: 4,
  errors: [],
} as const;
const cease = notification(6, 2);

const EVENTS = {
  start: { type: 'start' },
  stop: { type: 'stop', notification: cease, reason: 'shut down' },
  'connect-retry-expired': { type: 'connect-retry-expired' },
  'hold-expired': { type: 'hold-expired' },
  'keepalive-expired': { type: 'keepalive-expired' },
  'idle-hold-expired': { type: 'idle-hold-expired' },
  'send-hold-expired': { type: 'send-hold-expired' },
  'send-blocked': { type: 'send-blocked' },
  'send-drained': { type: 'send-drained' },
  connected: { type: 'connected', local },
  'connection-failed': { type: 'connection-failed', reason: 'reset' },
  'collision-lost': { type: 'collision-lost' },
  open: { type: 'open', open: buildOpen(peer) },
  'bad open': { type: 'open', open: buildOpen({ ...peer, as: 65099 }) },
  'message-error': {
    type: 'message-error',
    error: { code: 1, subcode: 1, data: new Uint8Array(0), message: 'marker' },
  },
  notification: { type: 'notification', notification: cease },
  keepalive: { type: 'keepalive' },
  update: { type: 'update', update },
  'route-refresh': { type: 'route-refresh', refresh: { type: 'route-refresh', afi: 1, safi: 1, subtype: 0 } },
} as const satisfies Record<string, SessionEvent>;

type EventName = keyof typeof EVENTS;

const settings = { passive: false, connectRetrySec: 5 };
const PATHS: Record<State, readonly EventName[]> = {
  idle: [],
  connect: ['start'],
  active: ['start', 'connection-failed'],
  'open-sent': ['start', 'connected'],
  'open-confirm': ['start', 'connected', 'open'],
  established: ['start', 'connected', 'open', 'keepalive'],
};

// Written from RFC 4271 §8.2.2 before the function; "next | what is done, in order". Timers that stop because the
// connection ends are left out of the rows: a law below says that all of them do.
const IDLE_AGAIN = 'idle | close';
const TABLE: Record<State, Record<EventName, string>> = {
  // §8.2.2 Idle: "initialise, start ConnectRetryTimer, initiate a TCP connection, listen, change to Connect";
  // "any other event received in the Idle state does not cause change in the state".
  idle: {
    start: 'connect | start connect-retry 5, connect', // events 1, 3
    stop: 'idle |', // 2: "ManualStop and AutomaticStop are ignored in the Idle state"
    'connect-retry-expired': 'idle |',
    'hold-expired': 'idle |',
    'keepalive-expired': 'idle |',
    'idle-hold-expired': 'connect | start connect-retry 5, connect', // 13
    'send-hold-expired': 'idle |',
    'send-blocked': 'idle |',
    'send-drained': 'idle |',
    connected: 'idle | close', // "refuses all incoming BGP connections"
    'connection-failed': 'idle |',
    'collision-lost': 'idle |',
    open: 'idle |',
    'bad open': 'idle |',
    'message-error': 'idle |',
    notification: 'idle |',
    keepalive: 'idle |',
    update: 'idle |',
    'route-refresh': 'idle |',
  },
  // §8.2.2 Connect
  connect: {
    start: 'connect |', // "start events are ignored in the Connect state"
    stop: IDLE_AGAIN, // 2
    'connect-retry-expired': 'connect | close, start connect-retry 5, connect', // 9
    'hold-expired': 'idle | close, start idle-hold 1', // "any other event" and all below
    'keepalive-expired': 'idle | close, start idle-hold 1',
    'idle-hold-expired': 'idle | close, start idle-hold 1',
    'send-hold-expired': 'idle | close, start idle-hold 1',
    'send-blocked': 'idle | close, start idle-hold 1',
    'send-drained': 'connect |',
    connected: 'open-sent | send open, start hold 240', // 16, 17
    'connection-failed': 'active | close, start connect-retry 1', // 18, as with DelayOpenTimer
    'collision-lost': 'idle | close, start idle-hold 1',
    open: 'idle | close, start idle-hold 1',
    'bad open': 'idle | close, start idle-hold 1',
    'message-error': 'idle | close, start idle-hold 1',
    notification: 'idle | close, start idle-hold 1',
    keepalive: 'idle | close, start idle-hold 1',
    update: 'idle | close, start idle-hold 1',
    'route-refresh': 'idle | close, start idle-hold 1',
  },
  // §8.2.2 Active
  active: {
    start: 'active |',
    stop: IDLE_AGAIN,
    'connect-retry-expired': 'connect | start connect-retry 5, connect', // 9
    'hold-expired': 'idle | close, start idle-hold 1',
    'keepalive-expired': 'idle | close, start idle-hold 1',
    'idle-hold-expired': 'idle | close, start idle-hold 1',
    'send-hold-expired': 'idle | close, start idle-hold 1',
    'send-blocked': 'idle | close, start idle-hold 1',
    'send-drained': 'active |',
    connected: 'open-sent | send open, start hold 240', // 16, 17
    'connection-failed': 'idle | close, start idle-hold 0.25', // 18
    'collision-lost': 'idle | close, start idle-hold 1',
    open: 'idle | close, start idle-hold 1',
    'bad open': 'idle | close, start idle-hold 1',
    'message-error': 'idle | close, start idle-hold 1',
    notification: 'idle | close, start idle-hold 1',
    keepalive: 'idle | close, start idle-hold 1',
    update: 'idle | close, start idle-hold 1',
    'route-refresh': 'idle | close, start idle-hold 1',
  },
  // §8.2.2 OpenSent; unexpected messages: RFC 6608 subcode 1
  'open-sent': {
    start: 'open-sent |',
    stop: 'idle | send 6/2, close', // 2: NOTIFICATION with a Cease
    'connect-retry-expired': 'idle | send 5/1, close, start idle-hold 1',
    'hold-expired': 'idle | send 4/0, close, start idle-hold 1', // 10
    'keepalive-expired': 'idle | send 5/1, close, start idle-hold 1',
    'idle-hold-expired': 'idle | send 5/1, close, start idle-hold 1',
    'send-hold-expired': 'idle | send 8/0, close, start idle-hold 1', // RFC 9687 §4
    'send-blocked': 'open-sent | start send-hold 480',
    'send-drained': 'open-sent | stop send-hold',
    connected: 'idle | send 5/1, close, start idle-hold 1',
    'connection-failed': 'active | close, start connect-retry 1', // 18: "restart the ConnectRetryTimer … Active"
    'collision-lost': 'idle | send 6/7, close', // 23
    open: 'open-confirm | send keepalive, start hold 30, start keepalive 10', // 19
    'bad open': 'idle | send 2/2, close, start idle-hold 1', // 22
    'message-error': 'idle | send 1/1, close, start idle-hold 1', // 21
    notification: 'idle | close, start idle-hold 1', // 24, 25: never answered, §6
    keepalive: 'idle | send 5/1, close, start idle-hold 1',
    update: 'idle | send 5/1, close, start idle-hold 1',
    'route-refresh': 'idle | send 5/1, close, start idle-hold 1',
  },
  // §8.2.2 OpenConfirm; RFC 6608 subcode 2
  'open-confirm': {
    start: 'open-confirm |',
    stop: 'idle | send 6/2, close',
    'connect-retry-expired': 'idle | send 5/2, close, start idle-hold 1',
    'hold-expired': 'idle | send 4/0, close, start idle-hold 1', // 10
    'keepalive-expired': 'open-confirm | send keepalive, start keepalive 10', // 11
    'idle-hold-expired': 'idle | send 5/2, close, start idle-hold 1',
    'send-hold-expired': 'idle | send 8/0, close, start idle-hold 1',
    'send-blocked': 'open-confirm | start send-hold 480',
    'send-drained': 'open-confirm | stop send-hold',
    connected: 'idle | send 5/2, close, start idle-hold 1',
    'connection-failed': 'idle | close, start idle-hold 0.25', // 18
    'collision-lost': 'idle | send 6/7, close', // 23
    open: 'idle | send 5/2, close, start idle-hold 1',
    'bad open': 'idle | send 5/2, close, start idle-hold 1',
    'message-error': 'idle | send 1/1, close, start idle-hold 1',
    notification: 'idle | close, start idle-hold 1', // 25
    keepalive: 'established | start hold 30, established', // 26
    update: 'idle | send 5/2, close, start idle-hold 1',
    'route-refresh': 'idle | send 5/2, close, start idle-hold 1',
  },
  // §8.2.2 Established; RFC 6608 subcode 3
  established: {
    start: 'established |',
    stop: 'idle | send 6/2, close, down stopped', // 2: Cease, "deletes all routes"
    'connect-retry-expired': 'idle | send 5/3, close, down notification-sent, start idle-hold 1',
    'hold-expired': 'idle | send 4/0, close, down notification-sent, start idle-hold 1', // 10
    'keepalive-expired': 'established | send keepalive, start keepalive 10', // 11
    'idle-hold-expired': 'idle | send 5/3, close, down notification-sent, start idle-hold 1',
    'send-hold-expired': 'idle | send 8/0, close, down notification-sent, start idle-hold 1',
    'send-blocked': 'established | start send-hold 480',
    'send-drained': 'established | stop send-hold',
    connected: 'idle | send 5/3, close, down notification-sent, start idle-hold 1',
    'connection-failed': 'idle | close, down connection-lost, start idle-hold 0.25', // 18
    'collision-lost': 'idle | send 6/7, close, down connection-lost', // 23; the other connection carries on
    open: 'idle | send 5/3, close, down notification-sent, start idle-hold 1',
    'bad open': 'idle | send 5/3, close, down notification-sent, start idle-hold 1',
    'message-error': 'idle | send 1/1, close, down notification-sent, start idle-hold 1', // 28
    notification: 'idle | close, down notification-received, start idle-hold 1', // 24, 25
    keepalive: 'established | start hold 30', // 26
    update: 'established | start hold 30, deliver update', // 27
    'route-refresh': 'established | start hold 30, deliver route-refresh', // RFC 2918
  },
};

function sessionIn(state: State): Session {
  return PATHS[state].reduce((session, name) => step(session, EVENTS[name]).session, createSession(settings));
}

function tell(action: Action): string {
  switch (action.kind) {
    case 'start-timer':
      return `start ${action.timer} ${action.sec}`;
    case 'stop-timer':
      return `stop ${action.timer}`;
    case 'send': {
      const { message } = action;
      return `send ${message.type === 'notification' ? `${message.code}/${message.subcode}` : message.type}`;
    }
    case 'down':
      return `down ${action.down.cause}`;
    case 'deliver':
      return `deliver ${action.message.type}`;
    case 'connect':
    case 'close':
    case 'established':
      return action.kind;
  }
}

for (const [state, row] of Object.entries(TABLE)) {
  test(`every event in ${state} does what RFC 4271 §8.2.2 says`, () => {
    for (const [name, expected] of Object.entries(row)) {
      const { session, actions } = step(sessionIn(state as State), EVENTS[name as EventName]);
      const told = actions.map(tell).filter((action) => !action.startsWith('stop ') || expected.includes(action));
      assert.equal(`${session.state} | ${told.join(', ')}`.trim(), expected, `${state} × ${name}`);
    }
  });
}

test('laws hold along any sequence of events', () => {
  const names = Object.keys(EVENTS) as EventName[];
  const sequence = fc.array(fc.constantFrom(...names), { maxLength: 40 });
  fc.assert(
    fc.property(sequence, fc.boolean(), (events, passive) => {
      let session = createSession({ ...settings, passive });
      let sawOpen = false;
      let sawKeepalive = false;
      for (const name of events) {
        const before = session;
        const transition = step(session, EVENTS[name]);
        session = transition.session;
        if (session.state === 'open-sent' && before.state !== 'open-sent') sawOpen = sawKeepalive = false;
        if (name === 'open' && session.state === 'open-confirm') sawOpen = true;
        if (name === 'keepalive' && before.state === 'open-confirm') sawKeepalive = true;
        const told = transition.actions.map(tell);

        if (session.state === 'idle')
          assert.deepEqual(
            [...session.timers].filter((t) => t !== 'idle-hold'),
            [],
          );
        if (session.state === 'established')
          assert.ok(sawOpen && sawKeepalive, 'Established without OPEN and KEEPALIVE');
        if (name === 'notification') {
          assert.equal(session.state, 'idle');
          assert.ok(!told.some((action) => action.startsWith('send')), 'a NOTIFICATION was answered');
        }
        if (before.state === 'established' && session.state !== 'established') {
          assert.equal(told.filter((action) => action.startsWith('down')).length, 1);
        }
        if (passive) assert.ok(!told.includes('connect'), 'a passive peer dialled');
        // What runs is exactly what was started and not stopped.
        const running = new Set(before.timers);
        for (const action of transition.actions) {
          if (action.kind === 'start-timer') running.add(action.timer);
          if (action.kind === 'stop-timer') running.delete(action.timer);
        }
        assert.deepEqual(running, session.timers);
        if (session.state !== before.state) assert.notEqual(transition.reason, '', 'a transition without a reason');
      }
    }),
    { numRuns: 2000 },
  );
});

test('a failing dial is repeated after a pause that doubles up to connectRetrySec', () => {
  let session = step(createSession({ passive: false, connectRetrySec: 10 }), EVENTS.start).session;
  const pauses: number[] = [];
  for (let i = 0; i < 6; i++) {
    const failed = step(session, EVENTS['connection-failed']);
    for (const action of failed.actions) if (action.kind === 'start-timer') pauses.push(action.sec);
    session = step(failed.session, EVENTS['connect-retry-expired']).session;
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 10, 10]);
});

test('sessions that fail one after the other wait longer, and a second KEEPALIVE forgives', () => {
  let session = sessionIn('established');
  const pauses: number[] = [];
  const failAndReturn = (): void => {
    const failed = step(session, EVENTS.notification);
    for (const action of failed.actions) if (action.kind === 'start-timer') pauses.push(action.sec);
    session = (['idle-hold-expired', 'connected', 'open', 'keepalive'] as const).reduce(
      (next, name) => step(next, EVENTS[name]).session,
      failed.session,
    );
  };
  for (let i = 0; i < 8; i++) failAndReturn();
  assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
  session = step(session, EVENTS.keepalive).session;
  failAndReturn();
  assert.equal(pauses.at(-1), 1);
});

test('idle after a lost connection accepts the peer, idle after an error does not', () => {
  const lost = step(sessionIn('established'), EVENTS['connection-failed']).session;
  assert.equal(step(lost, EVENTS.connected).session.state, 'open-sent');
  const refused = step(sessionIn('established'), EVENTS['hold-expired']).session;
  assert.equal(step(refused, EVENTS.connected).session.state, 'idle');
});

test('hold time 0 runs neither hold nor keepalive timer', () => {
  const open = buildOpen({ ...peer, holdTimeSec: 0 });
  const confirmed = step(sessionIn('open-sent'), { type: 'open', open }).session;
  assert.deepEqual([...confirmed.timers], []);
  assert.deepEqual([...step(confirmed, EVENTS.keepalive).session.timers], []);
});

test('the reason of a received NOTIFICATION holds its words', () => {
  const { reason } = step(sessionIn('established'), EVENTS.notification);
  assert.equal(reason, `peer sent ${formatNotification(cease)}`);
  assert.match(reason, /administrative shutdown/);
});
