/** The test's end of the raw driver: sessions made of bytes, and the messages that came back. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { killChild, until } from '../two-routers.ts';
import type { DriverEvent, DriverRequest } from './raw-driver.ts';

export const RAW_DRIVER = fileURLToPath(new URL('./raw-driver.ts', import.meta.url));
const WHOLE = 1_000_000;

export interface RawMessage {
  readonly type: number;
  /** Without the header. */
  readonly body: string;
}

export class RawSession {
  readonly id: number;
  readonly #send: (request: DriverRequest) => void;
  /** Resolves when the connection is up or refused. */
  readonly answered: Promise<void>;
  readonly answer: () => void;
  received = '';
  connected = false;
  closed = false;

  constructor(id: number, send: (request: DriverRequest) => void) {
    this.id = id;
    this.#send = send;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.answered = promise;
    this.answer = resolve;
  }

  /** `piece` octets per TCP segment. */
  send(hex: string, piece = WHOLE): void {
    this.#send({ do: 'send', session: this.id, hex, piece });
  }

  close(): void {
    this.#send({ do: 'close', session: this.id });
  }

  messages(): readonly RawMessage[] {
    const found: RawMessage[] = [];
    for (let at = 0; at + 38 <= this.received.length; ) {
      const digits = Number.parseInt(this.received.slice(at + 32, at + 36), 16) * 2;
      if (digits < 38 || at + digits > this.received.length) break;
      const type = Number.parseInt(this.received.slice(at + 36, at + 38), 16);
      found.push({ type, body: this.received.slice(at + 38, at + digits) });
      at += digits;
    }
    return found;
  }

  has(type: number): boolean {
    return this.messages().some((message) => message.type === type);
  }

  /** `code/subcode` of the NOTIFICATION received. */
  notification(): string | undefined {
    const body = this.messages().find(({ type }) => type === 3)?.body;
    if (body === undefined) return undefined;
    return `${Number.parseInt(body.slice(0, 2), 16)}/${Number.parseInt(body.slice(2, 4), 16)}`;
  }
}

export class RawDriver {
  readonly #child: ChildProcess;
  readonly #sessions = new Map<number, RawSession>();
  #next = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('the raw driver has no stdout');
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as DriverEvent));
  }

  /** Resolves when TCP is up; tries again while the listener is not there yet. */
  async connect(from: string, to: string): Promise<RawSession> {
    return until(`tcp from ${from} to ${to}`, async () => {
      this.#next += 1;
      const session = new RawSession(this.#next, (request) => this.#tell(request));
      this.#sessions.set(session.id, session);
      this.#tell({ do: 'connect', session: session.id, from, to });
      await session.answered;
      return session.connected && session;
    });
  }

  async stop(): Promise<void> {
    await killChild(this.#child);
  }

  #tell(request: DriverRequest): void {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
  }

  #hear(event: DriverEvent): void {
    const session = this.#sessions.get(event.session);
    if (session === undefined) return;
    if (event.event === 'connected') session.connected = true;
    else if (event.event === 'data') session.received += event.hex;
    else {
      session.closed = true;
      this.#sessions.delete(event.session);
    }
    session.answer();
  }
}
