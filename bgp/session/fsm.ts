/**
 * The BGP finite state machine of one connection (RFC 4271 §8.2.2, subcodes RFC 6608, send hold RFC 9687).
 *
 * Pure: step(session, event) gives the next session, what to do, and why in words; sockets and clocks are the peer's.
 * Event numbers below are those of RFC 4271 §8.1. Invariants: Idle has no timer but idle-hold; every way into
 * Established saw an OPEN and a KEEPALIVE; a NOTIFICATION leads to Idle and is never answered by another.
 *
 * Where it leaves the RFC, on purpose: a dial that fails goes to Active and retries (as if DelayOpenTimer ran) instead
 * of to Idle; a passive peer never dials; and Idle accepts a connection when the last one was merely lost, so that a
 * restarted peer need not wait for our back-off. DelayOpenTimer itself is not implemented.
 */
/* oxlint-disable typescript/switch-exhaustiveness-check -- the RFC itself closes each state with "any other event" */
import { CeaseSubcode, ErrorCode, FsmSubcode } from '../iana.ts';
import type { Message } from '../wire/message.ts';
import { formatNotification, type NotificationMessage } from '../wire/notification.ts';
import type { OpenMessage } from '../wire/open.ts';
import type { RouteRefreshMessage } from '../wire/route-refresh.ts';
import type { UpdateMessage } from '../wire/update.ts';
import { buildOpen, type LocalParameters, type Negotiated, negotiate, type Refusal } from './negotiate.ts';

export type State = 'idle' | 'connect' | 'active' | 'open-sent' | 'open-confirm' | 'established';
export type TimerName = 'connect-retry' | 'hold' | 'keepalive' | 'idle-hold' | 'send-hold';

/** RFC 4271 §8.2.2: "a HoldTimer value of 4 minutes is suggested" until the OPEN is seen. */
const OPEN_HOLD_SEC = 240;
const MAX_IDLE_HOLD_SEC = 60;
const MIN_SEND_HOLD_SEC = 480;

export interface SessionSettings {
  readonly passive: boolean;
  /** How long a dial may take, and the longest pause between two dials. */
  readonly connectRetrySec: number;
}

export interface Session {
  readonly state: State;
  readonly settings: SessionSettings;
  /** Set with the OPEN we sent. */
  readonly local: LocalParameters | undefined;
  /** Set with the OPEN we accepted. */
  readonly negotiated: Negotiated | undefined;
  readonly timers: ReadonlySet<TimerName>;
  /** Why Idle: after `lost` an incoming connection is welcome. */
  readonly idle: 'stopped' | 'lost' | 'error';
  /** Dials that failed in a row. */
  readonly dialFailures: number;
  /** Connections that ended in a row before a second KEEPALIVE in Established. */
  readonly sessionFailures: number;
}

export type SessionEvent =
  | { readonly type: 'start' } // 1, 3, 4, 5 (passive is a setting)
  | { readonly type: 'stop'; readonly notification: NotificationMessage | undefined; readonly reason: string } // 2, 8
  | { readonly type: 'connect-retry-expired' } // 9
  | { readonly type: 'hold-expired' } // 10
  | { readonly type: 'keepalive-expired' } // 11
  | { readonly type: 'idle-hold-expired' } // 13
  | { readonly type: 'send-hold-expired' } // 29, RFC 9687
  | { readonly type: 'send-blocked' } // the peer does not read: RFC 9687 §3 runs the timer only then
  | { readonly type: 'send-drained' }
  | { readonly type: 'connected'; readonly local: LocalParameters } // 16, 17
  | { readonly type: 'connection-failed'; readonly reason: string } // 18
  | { readonly type: 'collision-lost' } // 23
  | { readonly type: 'open'; readonly open: OpenMessage } // 19, 22 when it cannot be agreed on
  | { readonly type: 'message-error'; readonly error: Refusal } // 21, 22, 28
  | { readonly type: 'notification'; readonly notification: NotificationMessage } // 24, 25
  | { readonly type: 'keepalive' } // 26
  | { readonly type: 'update'; readonly update: UpdateMessage } // 27
  | { readonly type: 'route-refresh'; readonly refresh: RouteRefreshMessage }; // RFC 2918

/** How an Established session ended; decides with RFC 4724 and RFC 8538 whether routes stay. */
export interface Down {
  readonly cause: 'connection-lost' | 'notification-received' | 'notification-sent' | 'stopped';
  readonly notification: NotificationMessage | undefined;
}

export type Action =
  | { readonly kind: 'start-timer'; readonly timer: TimerName; readonly sec: number; readonly jitter: boolean }
  | { readonly kind: 'stop-timer'; readonly timer: TimerName }
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly message: Message }
  | { readonly kind: 'close' }
  | { readonly kind: 'established'; readonly negotiated: Negotiated }
  | { readonly kind: 'down'; readonly down: Down }
  | { readonly kind: 'deliver'; readonly message: UpdateMessage | RouteRefreshMessage };

export interface Transition {
  readonly session: Session;
  readonly actions: readonly Action[];
  /** Why, in words; empty when nothing worth telling happened. */
  readonly reason: string;
}

/** A session that has not started, or one that waits for the connection just accepted. */
export function createSession(settings: SessionSettings, state: 'idle' | 'active' = 'idle'): Session {
  return {
    state,
    settings,
    local: undefined,
    negotiated: undefined,
    timers: new Set(),
    idle: 'stopped',
    dialFailures: 0,
    sessionFailures: 0,
  };
}

/** One event · RFC 4271 §8.2.2. Never throws; an event that has no meaning in a state is a finite state machine error. */
export function step(session: Session, event: SessionEvent): Transition {
  switch (session.state) {
    case 'idle':
      return inIdle(session, event);
    case 'connect':
    case 'active':
      return whileConnecting(session, event);
    case 'open-sent':
      return inOpenSent(session, event);
    case 'open-confirm':
      return inOpenConfirm(session, event);
    case 'established':
      return inEstablished(session, event);
  }
}

function inIdle(session: Session, event: SessionEvent): Transition {
  switch (event.type) {
    case 'start':
      return begin(session, 'started');
    case 'idle-hold-expired':
      return begin(session, 'trying again');
    case 'stop':
      return go({ ...session, idle: 'stopped', sessionFailures: 0 }, 'idle', stopAll(session), event.reason);
    case 'connected':
      if (session.idle === 'lost') return sendOpen(session, event.local);
      return { session, actions: [{ kind: 'close' }], reason: 'connection refused while idle' };
    default:
      return nothing(session);
  }
}

function begin(session: Session, reason: string): Transition {
  if (session.settings.passive) return go(session, 'active', stopAll(session), `${reason}, waiting for the peer`);
  return dial(session, stopAll(session), reason);
}

function dial(session: Session, before: readonly Action[], reason: string): Transition {
  const timer = startTimer('connect-retry', session.settings.connectRetrySec, true);
  return go(session, 'connect', [...before, timer, { kind: 'connect' }], `${reason}, connecting`);
}

function whileConnecting(session: Session, event: SessionEvent): Transition {
  switch (event.type) {
    case 'start':
      return nothing(session);
    case 'stop':
      return stopped(session, undefined, event.reason);
    case 'connect-retry-expired':
      if (session.settings.passive) return nothing(session);
      return dial(session, session.state === 'connect' ? [{ kind: 'close' }] : [], 'connect retry timer expired');
    case 'connected':
      return sendOpen(session, event.local);
    case 'send-drained':
      return nothing(session);
    case 'connection-failed':
      return session.state === 'connect' ? retryLater(session, event.reason) : lost(session, event.reason);
    default:
      return failed(session, undefined, `${event.type} without a connection`);
  }
}

/** Listen, and dial again after a pause that doubles from one second to connectRetrySec. */
function retryLater(session: Session, why: string): Transition {
  const next = { ...session, dialFailures: session.dialFailures + 1 };
  const actions: Action[] = [...stopAll(session), { kind: 'close' }];
  if (session.settings.passive) return go(next, 'active', actions, why);
  const sec = Math.min(session.settings.connectRetrySec, 2 ** Math.min(session.dialFailures, 10));
  return go(next, 'active', [...actions, startTimer('connect-retry', sec, true)], why);
}

function sendOpen(session: Session, local: LocalParameters): Transition {
  const actions: Action[] = [...stopAll(session), { kind: 'send', message: buildOpen(local) }];
  actions.push(startTimer('hold', OPEN_HOLD_SEC));
  return go({ ...session, local, dialFailures: 0 }, 'open-sent', actions, 'connected, OPEN sent');
}

function inOpenSent(session: Session, event: SessionEvent): Transition {
  switch (event.type) {
    case 'open':
      return receiveOpen(session, event.open);
    case 'connection-failed':
      return retryLater({ ...session, local: undefined }, event.reason);
    default:
      return whileOpen(session, event, FsmSubcode.unexpectedInOpenSent);
  }
}

function receiveOpen(session: Session, open: OpenMessage): Transition {
  if (session.local === undefined) return failed(session, undefined, 'OPEN before ours was sent');
  const result = negotiate(session.local, open);
  if (!result.ok) return refuse(session, result.error);
  const { negotiated } = result;
  const actions: Action[] = [{ kind: 'send', message: { type: 'keepalive' } }];
  if (negotiated.holdTimeSec === 0) actions.push({ kind: 'stop-timer', timer: 'hold' });
  else actions.push(...holdTimer(negotiated), keepaliveTimer(negotiated));
  return go({ ...session, negotiated }, 'open-confirm', actions, 'OPEN accepted');
}

function inOpenConfirm(session: Session, event: SessionEvent): Transition {
  const { negotiated } = session;
  switch (event.type) {
    case 'keepalive':
      if (negotiated === undefined) return failed(session, undefined, 'KEEPALIVE before an OPEN');
      return establish(session, negotiated);
    case 'keepalive-expired':
      return sendKeepalive(session);
    case 'connection-failed':
      return lost(session, event.reason);
    default:
      return whileOpen(session, event, FsmSubcode.unexpectedInOpenConfirm);
  }
}

function establish(session: Session, negotiated: Negotiated): Transition {
  // Without KEEPALIVEs there is no second one to prove that the session lasts.
  const sessionFailures = negotiated.holdTimeSec === 0 ? 0 : session.sessionFailures;
  const actions: Action[] = [...holdTimer(negotiated), { kind: 'established', negotiated }];
  return go({ ...session, sessionFailures }, 'established', actions, 'established');
}

function inEstablished(session: Session, event: SessionEvent): Transition {
  switch (event.type) {
    case 'keepalive':
      return go({ ...session, sessionFailures: 0 }, 'established', holdTimer(session.negotiated), '');
    case 'keepalive-expired':
      return sendKeepalive(session);
    case 'update':
      return deliver(session, event.update);
    case 'route-refresh':
      return deliver(session, event.refresh);
    case 'connection-failed':
      return lost(session, event.reason);
    default:
      return whileOpen(session, event, FsmSubcode.unexpectedInEstablished);
  }
}

/** What OpenSent, OpenConfirm and Established have in common; anything else is an FSM error with the state's subcode. */
function whileOpen(session: Session, event: SessionEvent, subcode: number): Transition {
  switch (event.type) {
    case 'start':
      return nothing(session);
    case 'stop':
      return stopped(session, event.notification, event.reason);
    case 'hold-expired':
      return failed(session, notification(ErrorCode.holdTimerExpired, 0), 'hold timer expired');
    case 'send-hold-expired':
      return failed(session, notification(ErrorCode.sendHoldTimerExpired, 0), 'send hold timer expired');
    case 'send-blocked':
      return session.timers.has('send-hold') ? nothing(session) : go(session, session.state, [sendHold(session)], '');
    case 'send-drained':
      return go(session, session.state, [{ kind: 'stop-timer', timer: 'send-hold' }], '');
    case 'collision-lost': {
      const cease = notification(ErrorCode.cease, CeaseSubcode.connectionCollisionResolution);
      return collided(session, cease);
    }
    case 'message-error':
      return refuse(session, event.error);
    case 'notification':
      return notified(session, event.notification);
    default:
      return failed(
        session,
        notification(ErrorCode.finiteStateMachine, subcode),
        `unexpected ${event.type} in ${session.state}`,
      );
  }
}

function sendKeepalive(session: Session): Transition {
  const actions: Action[] = [{ kind: 'send', message: { type: 'keepalive' } }];
  if (session.negotiated !== undefined) actions.push(keepaliveTimer(session.negotiated));
  return go(session, session.state, actions, '');
}

function deliver(session: Session, message: UpdateMessage | RouteRefreshMessage): Transition {
  return go(session, 'established', [...holdTimer(session.negotiated), { kind: 'deliver', message }], '');
}

/** RFC 4271 §6: send the NOTIFICATION the error asks for. */
function refuse(session: Session, error: Refusal): Transition {
  const { code, subcode, data, message } = error;
  return failed(session, { type: 'notification', code, subcode, data }, message);
}

function failed(session: Session, sent: NotificationMessage | undefined, reason: string): Transition {
  const down: Down = { cause: sent === undefined ? 'connection-lost' : 'notification-sent', notification: sent };
  return release(session, { idle: 'error', send: sent, down, reason });
}

function notified(session: Session, received: NotificationMessage): Transition {
  const reason = `peer sent ${formatNotification(received)}`;
  return release(session, {
    idle: 'error',
    send: undefined,
    down: { cause: 'notification-received', notification: received },
    reason,
  });
}

function lost(session: Session, reason: string): Transition {
  return release(session, {
    idle: 'lost',
    send: undefined,
    down: { cause: 'connection-lost', notification: undefined },
    reason,
  });
}

function stopped(session: Session, send: NotificationMessage | undefined, reason: string): Transition {
  return release(session, { idle: 'stopped', send, down: { cause: 'stopped', notification: send }, reason });
}

/** The peer lives on in the other connection, so its routes may stay as if this one had merely been lost. */
function collided(session: Session, send: NotificationMessage): Transition {
  const down: Down = { cause: 'connection-lost', notification: send };
  return release(session, { idle: 'stopped', send, down, reason: 'lost the connection collision' });
}

interface Release {
  readonly idle: Session['idle'];
  readonly send: NotificationMessage | undefined;
  readonly down: Down;
  readonly reason: string;
}

/** Every way to Idle: say why, close, give the routes back, and wait before the next try unless we were stopped. */
function release(session: Session, { idle, send, down, reason }: Release): Transition {
  const actions: Action[] = [...stopAll(session)];
  if (send !== undefined) actions.push({ kind: 'send', message: send });
  actions.push({ kind: 'close' });
  if (session.state === 'established') actions.push({ kind: 'down', down });
  const base = { ...session, idle, local: undefined, negotiated: undefined };
  if (idle === 'stopped') return go({ ...base, dialFailures: 0, sessionFailures: 0 }, 'idle', actions, reason);
  const sec = (idle === 'lost' ? 0.25 : 1) * 2 ** Math.min(session.sessionFailures, 10);
  actions.push(startTimer('idle-hold', Math.min(sec, MAX_IDLE_HOLD_SEC), true));
  return go({ ...base, sessionFailures: session.sessionFailures + 1 }, 'idle', actions, reason);
}

function nothing(session: Session): Transition {
  return { session, actions: [], reason: '' };
}

/** The next session, its timer set kept in step with the actions. */
function go(session: Session, state: State, actions: readonly Action[], reason: string): Transition {
  const timers = new Set(session.timers);
  for (const action of actions) {
    if (action.kind === 'start-timer') timers.add(action.timer);
    if (action.kind === 'stop-timer') timers.delete(action.timer);
  }
  return { session: { ...session, state, timers }, actions, reason };
}

function stopAll(session: Session): readonly Action[] {
  return [...session.timers].map((timer) => ({ kind: 'stop-timer', timer }));
}

function startTimer(timer: TimerName, sec: number, jitter = false): Action {
  return { kind: 'start-timer', timer, sec, jitter };
}

function holdTimer(negotiated: Negotiated | undefined): readonly Action[] {
  const sec = negotiated?.holdTimeSec ?? 0;
  return sec === 0 ? [] : [startTimer('hold', sec)];
}

/** RFC 9687 §4: the greater of eight minutes and twice the hold time. */
function sendHold(session: Session): Action {
  return startTimer('send-hold', Math.max(MIN_SEND_HOLD_SEC, 2 * (session.negotiated?.holdTimeSec ?? 0)));
}

/** RFC 4271 §10: keepalive intervals are jittered so that peers do not fall into step. */
function keepaliveTimer(negotiated: Negotiated): Action {
  return startTimer('keepalive', negotiated.keepaliveSec, true);
}

/** A NOTIFICATION without data. */
export function notification(code: number, subcode: number, data: Uint8Array = new Uint8Array(0)): NotificationMessage {
  return { type: 'notification', code, subcode, data };
}
