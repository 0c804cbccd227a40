/**
 * One connection: messages on one side, a wire on the other (RFC 4271 §4.1 framing).
 *
 * The shell knows nothing of states. A byte the peer sends ends in exactly one of: a message, a protocol error, or
 * nothing because the connection was closed meanwhile.
 */
import { WireError } from '../errors.ts';
import { ErrorCode } from '../iana.ts';
import { INITIAL_CONTEXT, type WireContext } from '../wire/context.ts';
import { Framer } from '../wire/framing.ts';
import { decodeMessage, encodeMessage, type Message } from '../wire/message.ts';
import { UpdateDecoder } from '../wire/packed-update.ts';
import type { Wire } from './transport.ts';

export interface ConnectionHandlers {
  message(message: Message): void;
  error(error: WireError): void;
  drained(): void;
  closed(reason: string): void;
}

export class Connection {
  /** How to read and write attributes; replaced when both OPENs are known. */
  context: WireContext = INITIAL_CONTEXT;
  readonly wire: Wire;
  readonly #framer = new Framer();
  readonly #updates = new UpdateDecoder();
  readonly #handlers: ConnectionHandlers;
  #open = true;

  constructor(wire: Wire, handlers: ConnectionHandlers) {
    this.wire = wire;
    this.#handlers = handlers;
  }

  start(): void {
    this.wire.open({
      data: (chunk) => this.#read(chunk),
      drained: () => this.#handlers.drained(),
      closed: (reason) => {
        this.#open = false;
        this.#handlers.closed(reason);
      },
    });
  }

  send(message: Message): boolean {
    return this.write(encodeMessage(message, this.context));
  }

  /** Encoded messages; false when the wire is full. */
  write(bytes: Uint8Array): boolean {
    return this.#open ? this.wire.write(bytes) : true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.wire.end();
  }

  #read(chunk: Uint8Array): void {
    const frames = this.#framer.push(chunk);
    for (;;) {
      const message = this.#next(frames);
      // An earlier message of this chunk may have ended the session.
      if (message === undefined || !this.#open) return;
      this.#handlers.message(message);
    }
  }

  /**
   * The next whole message of the stream. A fault of the decoder itself ends this session only: no byte a peer sends
   * may stop the speaker.
   */
  #next(frames: Iterator<Uint8Array, void>): Message | undefined {
    if (!this.#open) return undefined;
    try {
      const { value } = frames.next();
      return value === undefined ? undefined : decodeMessage(value, this.context, this.#updates);
    } catch (error) {
      const fault =
        error instanceof WireError ? error : new WireError(ErrorCode.cease, 0, `decoder fault: ${String(error)}`);
      this.#handlers.error(fault);
      return undefined;
    }
  }
}
