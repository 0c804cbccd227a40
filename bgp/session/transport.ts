/**
 * The port between sessions and byte streams: TCP in life (tcp-transport.ts), wires in memory and virtual time in tests.
 *
 * A transport never calls back before the call that asked for it has returned, and never after abort, close or destroy.
 */
import type { Family, Ip, Prefix } from '#net';

/** What a connection needs beyond plain TCP; absent = not asked for. */
export interface SocketOptions {
  /** TCP MD5 signature key, 1–80 bytes · RFC 2385. */
  readonly password?: string;
  /** The peer is at most this many hops away, 1 = on the same link; anything farther is not heard · RFC 5082. */
  readonly ttlSecurity?: number;
  /** TTL or hop limit of what we send. */
  readonly ttl?: number;
  /** Network device the connection must use. */
  readonly interface?: string;
}

/** What the speaker asks of the operating system where node:net has no words for it (src/libc). All of it may throw. */
export interface SocketPort {
  /** Why none of this is possible here. */
  unavailable(): string | undefined;
  /** A TCP socket, not bound and not connected; the file descriptor. */
  open(family: Family): number;
  bind(fd: number, address: Ip): void;
  close(fd: number): void;
  /** The key for peers in this prefix, a single address mostly; undefined removes it. */
  setKey(fd: number, peers: Prefix, password: string | undefined): void;
  setTtl(fd: number, family: Family, ttl: number): void;
  setMinTtl(fd: number, family: Family, ttl: number): void;
  bindToDevice(fd: number, device: string): void;
}

/** What has to hold for connections that have not come yet. */
export interface Protection {
  readonly keys: ReadonlyMap<Prefix, string>;
  /** Some peer hears us only with the TTL at 255 · RFC 5082. */
  readonly fullTtl: boolean;
}

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
  /** Network device, where the address says which: link-local ones do. */
  readonly device?: string | undefined;
  /** Make this connection what was asked for, also with a new key; returns why that is impossible. */
  secure?(options: SocketOptions): string | undefined;
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
  readonly options?: SocketOptions | undefined;
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
  /** From now on exactly this holds; returns what could not be done, by prefix of the key or as a whole. */
  protect?(protection: Protection): ReadonlyMap<Prefix | 'ttl', string>;
  /** Accepts nothing more from now on; accepted wires live on. */
  close(): void;
}

export interface Transport {
  /** Why connections with these options are impossible; absent = any option is. */
  whyNot?(options: SocketOptions): string | undefined;
  dial(target: DialTarget, handlers: DialHandlers): Dial;
  /** Rejects with a SpeakerError that names the address and port. */
  listen(at: ListenAddress, accept: (wire: Wire) => void): Promise<Listener>;
}
