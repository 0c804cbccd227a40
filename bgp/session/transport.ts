/**
 * The port between sessions and byte streams: TCP in life (tcp-transport.ts), wires in memory and virtual time in tests.
 *
 * A transport never calls back before the call that asked for it has returned, and never after abort, close or destroy.
 */
import type { Ip } from '#net';

export interface WireHandlers {
  data(chunk: Uint8Array): void;
  /** What write() could not pass on at once has gone out. */
  drained(): void;
  /** The other side or the network ended it; not called after our own end() or destroy(). */
  closed(reason: string): void;
}

/** One established byte stream. */
export interface Wire {
  readonly remote: Ip;
  readonly local: Ip | undefined;
  /** Begin to read; called once. */
  open(handlers: WireHandlers): void;
  /** Returns false when the stream is full: wait for drained() before offering bulk. Never drops bytes. */
  write(bytes: Uint8Array): boolean;
  /** Send what was written, then close. */
  end(): void;
  destroy(): void;
}

export interface DialTarget {
  readonly address: Ip;
  readonly port: number;
  readonly localAddress: Ip | undefined;
}

export interface DialHandlers {
  connected(wire: Wire): void;
  failed(reason: string): void;
}

export interface Dial {
  abort(): void;
}

export interface ListenAddress {
  readonly address: Ip;
  readonly port: number;
}

export interface Listener {
  /** Accepts nothing more from now on; accepted wires live on. */
  close(): void;
}

export interface Transport {
  dial(target: DialTarget, handlers: DialHandlers): Dial;
  /** Rejects with a SpeakerError that names the address and port. */
  listen(at: ListenAddress, accept: (wire: Wire) => void): Promise<Listener>;
}
