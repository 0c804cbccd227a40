/**
 * One peer's session: performs what the state machine asks for, on up to two connections (RFC 4271 §6.8, §8.2.1).
 *
 * The main slot is the session; a rival exists only while the peer and we have both dialled, or while a restarted peer
 * comes back before its old connection was seen to die (RFC 4724 §5). Domain decisions are fsm.ts, collision.ts and
 * negotiate.ts; here are sockets, timers and the hand-over to the routing side.
 */
import type { Ip } from '#net';
import type { TimerHandle, Timers } from '#reconcile';
import type { Message } from '../wire/message.ts';
import type { NotificationMessage } from '../wire/notification.ts';
import type { OpenMessage } from '../wire/open.ts';
import type { RouteRefreshMessage } from '../wire/route-refresh.ts';
import type { UpdateMessage } from '../wire/update.ts';
import { type Initiator, resolveCollision } from './collision.ts';
import { Connection } from './connection.ts';
import {
  type Action,
  createSession,
  type Down,
  type Session,
  type SessionEvent,
  type SessionSettings,
  type State,
  step,
  type TimerName,
} from './fsm.ts';
import { type LocalParameters, type Negotiated, negotiate, type Refusal } from './negotiate.ts';
import type { Dial, DialTarget, SocketOptions, Transport, Wire } from './transport.ts';

export interface PeerHooks {
  /** What to put into the next OPEN. */
  parameters(): LocalParameters;
  established(negotiated: Negotiated, localAddress: Ip | undefined): void;
  down(down: Down): void;
  deliver(message: UpdateMessage | RouteRefreshMessage): void;
  /** The connection takes bulk again. */
  drained(): void;
  transition(change: { readonly from: State; readonly to: State; readonly reason: string }): void;
}

export interface PeerOptions {
  /** Where and how to dial; asked before each dial. */
  readonly target: () => DialTarget;
  readonly settings: SessionSettings;
  readonly transport: Transport;
  readonly timers: Timers;
  readonly random: () => number;
  readonly hooks: PeerHooks;
}

interface RunningTimer {
  readonly handle: TimerHandle;
  readonly firesAt: number;
  /** When it counts as expired; later than firesAt where it was started again meanwhile. */
  dueAt: number;
}

interface Slot {
  session: Session;
  initiator: Initiator;
  connection: Connection | undefined;
  dial: Dial | undefined;
  /** Accepted while the main session was Established: a restart of the peer, not a collision. */
  readonly replaces: boolean;
  readonly timers: Map<TimerName, RunningTimer>;
}

export class Peer {
  readonly #options: PeerOptions;
  #main: Slot;
  #rival: Slot | undefined;
  /** The state the hooks know: one event may cause another before its own end is told. */
  #told: State = 'idle';

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#main = createSlot(createSession(options.settings), false);
  }

  get state(): State {
    return this.#main.session.state;
  }

  get negotiated(): Negotiated | undefined {
    return this.#main.session.negotiated;
  }

  start(): void {
    this.#dispatch(this.#main, { type: 'start' });
  }

  /** End the session for good; without a NOTIFICATION the peer may take it for a restart · RFC 4724 §4.2. */
  stop(notification: NotificationMessage | undefined, reason: string): void {
    const rival = this.#rival;
    if (rival !== undefined) this.#dispatch(rival, { type: 'stop', notification, reason });
    this.#dispatch(this.#main, { type: 'stop', notification, reason });
  }

  /** End the session with this error; it is tried again after the idle hold time. */
  fail(error: Refusal): void {
    this.#dispatch(this.#main, { type: 'message-error', error });
  }

  /** Set these options on the connections there are, such as a new key; returns why that is impossible. */
  secure(options: SocketOptions): string | undefined {
    for (const slot of [this.#main, this.#rival]) {
      const fault = slot?.connection?.wire.secure?.(options);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** A connection from the peer's address. */
  accept(wire: Wire): void {
    const { state } = this.#main.session;
    if (state === 'idle' || state === 'active') {
      this.#attach(this.#main, wire, 'remote');
      return;
    }
    const settings = { ...this.#options.settings, passive: true };
    const slot = createSlot(createSession(settings, 'active'), state === 'established');
    if (this.#rival !== undefined) this.#dispatch(this.#rival, { type: 'collision-lost' });
    this.#rival = slot;
    this.#attach(slot, wire, 'remote');
  }

  /** Encoded messages of an Established session; false when the connection is full, until drained(). */
  write(bytes: Uint8Array): boolean {
    const { connection } = this.#main;
    if (connection === undefined || connection.write(bytes)) return true;
    this.#dispatch(this.#main, { type: 'send-blocked' });
    return false;
  }

  #attach(slot: Slot, wire: Wire, initiator: Initiator): void {
    const ifCurrent = (act: () => void): void => {
      if (slot.connection === connection) act();
    };
    const connection = new Connection(wire, {
      message: (message) => ifCurrent(() => this.#receive(slot, message)),
      error: (error) => ifCurrent(() => this.#dispatch(slot, { type: 'message-error', error })),
      closed: (reason) => ifCurrent(() => this.#dispatch(slot, { type: 'connection-failed', reason })),
      drained: () =>
        ifCurrent(() => {
          this.#dispatch(slot, { type: 'send-drained' });
          if (slot === this.#main) this.#options.hooks.drained();
        }),
    });
    slot.connection = connection;
    slot.initiator = initiator;
    slot.dial = undefined;
    connection.start();
    this.#dispatch(slot, { type: 'connected', local: this.#options.hooks.parameters() });
  }

  #receive(slot: Slot, message: Message): void {
    switch (message.type) {
      case 'open':
        this.#receiveOpen(slot, message);
        return;
      case 'update':
        this.#dispatch(slot, { type: 'update', update: message });
        return;
      case 'notification':
        this.#dispatch(slot, { type: 'notification', notification: message });
        return;
      case 'keepalive':
        this.#dispatch(slot, { type: 'keepalive' });
        return;
      case 'route-refresh':
        this.#dispatch(slot, { type: 'route-refresh', refresh: message });
    }
  }

  /** RFC 4271 §6.8: collisions are settled when an OPEN has told who the peer is, and before it is answered. */
  #receiveOpen(slot: Slot, open: OpenMessage): void {
    const other = slot === this.#main ? this.#rival : this.#main;
    const { local } = slot.session;
    if (other !== undefined && local !== undefined && slot.session.state === 'open-sent') {
      const result = negotiate(local, open);
      if (result.ok && !this.#settle({ slot, other, local, negotiated: result.negotiated })) return;
    }
    this.#dispatch(slot, { type: 'open', open });
  }

  /** Returns whether the connection the OPEN came in on lives on. */
  #settle({ slot, other, local, negotiated }: Settlement): boolean {
    if (slot.replaces && other.session.state === 'established' && other.session.negotiated?.gracefulRestart) {
      this.#dispatch(other, { type: 'connection-failed', reason: 'peer opened a new connection' });
      return true;
    }
    const verdict = resolveCollision({
      local,
      remote: { routerId: negotiated.peerRouterId, as: negotiated.peerAs },
      received: slot.initiator,
      other: { initiator: other.initiator, state: other.session.state },
    });
    if (verdict === 'keep-both') return true;
    const loser = verdict === 'close-other' ? other : slot;
    this.#dispatch(loser, isDialling(loser) ? FIRST_WINS : { type: 'collision-lost' });
    return loser === other;
  }

  #dispatch(slot: Slot, event: SessionEvent): void {
    const wasMain = slot === this.#main;
    const { session, actions, reason } = step(slot.session, event);
    slot.session = session;
    for (const action of actions) this.#perform(slot, action);
    this.#settleDown(slot);
    const from = this.#told;
    const to = this.#main.session.state;
    this.#told = to;
    if (from !== to || (wasMain && reason !== '' && slot.session === session)) {
      this.#options.hooks.transition({ from, to, reason });
    }
  }

  /** A slot may have lost its connection: a rival is then forgotten, a main gives its place to the living rival. */
  #settleDown(slot: Slot): void {
    const rival = this.#rival;
    if (rival === undefined) return;
    const { state } = slot.session;
    if (slot === rival) {
      if (state === 'open-sent' || state === 'open-confirm' || state === 'established') return;
    } else {
      if (state !== 'idle' && state !== 'active') return;
      const { sessionFailures } = slot.session;
      rival.session = { ...rival.session, settings: this.#options.settings, sessionFailures };
      this.#main = rival;
    }
    clearTimers(slot, this.#options.timers);
    this.#rival = undefined;
  }

  #perform(slot: Slot, action: Action): void {
    switch (action.kind) {
      case 'start-timer':
        this.#startTimer(slot, action);
        return;
      case 'stop-timer':
        this.#stopTimer(slot, action.timer);
        return;
      case 'connect':
        this.#dial(slot);
        return;
      case 'send':
        slot.connection?.send(action.message);
        return;
      case 'close':
        slot.dial?.abort();
        slot.connection?.close();
        slot.dial = undefined;
        slot.connection = undefined;
        return;
      case 'established':
        this.#establish(slot, action.negotiated);
        return;
      case 'down':
        this.#options.hooks.down(action.down);
        return;
      case 'deliver':
        this.#options.hooks.deliver(action.message);
    }
  }

  #establish(slot: Slot, negotiated: Negotiated): void {
    if (slot === this.#rival) {
      // The OPEN of the other connection has not come yet and will decide; until then this one carries the routes.
      slot.session = { ...slot.session, settings: this.#options.settings };
      this.#rival = this.#main;
      this.#main = slot;
    }
    const rival = this.#rival;
    if (rival !== undefined && isDialling(rival)) this.#dispatch(rival, FIRST_WINS);
    const { connection } = slot;
    if (connection !== undefined) connection.context = negotiated.context;
    this.#options.hooks.established(negotiated, connection?.wire.local);
  }

  #dial(slot: Slot): void {
    slot.dial?.abort();
    const dial = this.#options.transport.dial(this.#options.target(), {
      connected: (wire) => {
        if (slot.dial !== dial) wire.destroy();
        else this.#dialled(slot, wire);
      },
      failed: (reason) => {
        if (slot.dial === dial) this.#dispatch(slot, { type: 'connection-failed', reason });
      },
    });
    slot.dial = dial;
  }

  /** A dial that succeeds after the peer's connection has taken the lead is given up before a word is said on it. */
  #dialled(slot: Slot, wire: Wire): void {
    const other = slot === this.#main ? this.#rival : this.#main;
    const leads = other?.session.state === 'open-confirm' || other?.session.state === 'established';
    if (leads) {
      wire.destroy();
      this.#dispatch(slot, FIRST_WINS);
    } else this.#attach(slot, wire, 'local');
  }

  #startTimer(slot: Slot, { timer, sec, jitter }: Action & { readonly kind: 'start-timer' }): void {
    // RFC 4271 §10: a random part between 0.75 and 1.0 of the value.
    const factor = jitter ? 0.75 + 0.25 * this.#options.random() : 1;
    const dueAt = this.#options.timers.now() + sec * 1000 * factor;
    const running = slot.timers.get(timer);
    if (running !== undefined && running.firesAt <= dueAt) {
      // The hold timer restarts with every UPDATE: it fires once at its old time and then waits for the rest.
      running.dueAt = dueAt;
      return;
    }
    this.#stopTimer(slot, timer);
    this.#arm(slot, timer, dueAt);
  }

  #arm(slot: Slot, timer: TimerName, dueAt: number): void {
    const { timers } = this.#options;
    const handle = timers.set(
      () => {
        const running = slot.timers.get(timer);
        slot.timers.delete(timer);
        if (running !== undefined && running.dueAt > timers.now()) this.#arm(slot, timer, running.dueAt);
        else this.#dispatch(slot, { type: `${timer}-expired` });
      },
      Math.max(0, dueAt - timers.now()),
    );
    slot.timers.set(timer, { handle, firesAt: dueAt, dueAt });
  }

  #stopTimer(slot: Slot, timer: TimerName): void {
    const running = slot.timers.get(timer);
    if (running !== undefined) this.#options.timers.clear(running.handle);
    slot.timers.delete(timer);
  }
}

interface Settlement {
  readonly slot: Slot;
  readonly other: Slot;
  readonly local: LocalParameters;
  readonly negotiated: Negotiated;
}

/** Ends a dial that is no longer needed. */
const FIRST_WINS: SessionEvent = { type: 'stop', notification: undefined, reason: 'the peer connected first' };

function isDialling({ session }: Slot): boolean {
  return session.state === 'connect' || session.state === 'active';
}

function createSlot(session: Session, replaces: boolean): Slot {
  return { session, initiator: 'local', connection: undefined, dial: undefined, replaces, timers: new Map() };
}

function clearTimers(slot: Slot, timers: Timers): void {
  for (const { handle } of slot.timers.values()) timers.clear(handle);
  slot.timers.clear();
}
