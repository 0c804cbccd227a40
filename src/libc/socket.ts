/**
 * Sockets with options node:net has no words for: TCP MD5 keys (RFC 2385; tcp(7) TCP_MD5SIG, TCP_MD5SIG_EXT), TTL checks
 * (RFC 5082; ip(7) IP_MINTTL, ipv6(7) IPV6_MINHOPCOUNT), and a device (socket(7) SO_BINDTODEVICE). Linux only.
 *
 * Implements the speaker's SocketPort. A descriptor made here goes to `new net.Socket({ fd })` before it is connected:
 * net.connect() has none until its SYN is on the way, which is too late for a key. Keys never appear in an error.
 */
import { endianness } from 'node:os';
import type { SocketPort } from '#bgp';
import {
  type Family,
  type Ip,
  familyOf,
  ipToBytes,
  maxLength,
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixLength,
} from '#net';
import { type CLibrary, loadLibrary } from './library.ts';

const AF = { 4: 2, 6: 10 } as const;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const SOL_SOCKET = 1;
const IPPROTO = { ip: 0, tcp: 6, ipv6: 41 } as const;
const SO_REUSEADDR = 2;
const SO_BINDTODEVICE = 25;
const TTL = { 4: { level: IPPROTO.ip, option: 2 }, 6: { level: IPPROTO.ipv6, option: 16 } } as const;
const MIN_TTL = { 4: { level: IPPROTO.ip, option: 21 }, 6: { level: IPPROTO.ipv6, option: 73 } } as const;
const TCP_MD5SIG = 14;
const TCP_MD5SIG_EXT = 32;
const TCP_MD5SIG_FLAG_PREFIX = 1;
const MAX_KEY_BYTES = 80;
/** struct tcp_md5sig: sockaddr_storage (128), flags, prefix length, key length (u16), ifindex (u32), key (80). */
const MD5SIG_BYTES = 128 + 8 + MAX_KEY_BYTES;

/** struct sockaddr_in and sockaddr_in6; the family is in host order, everything else in network order. */
function sockaddr(address: Ip): Uint8Array {
  const family = familyOf(address);
  const bytes = new Uint8Array(family === 4 ? 16 : 28);
  new DataView(bytes.buffer).setUint16(0, AF[family], isLittleEndian);
  bytes.set(ipToBytes(address), family === 4 ? 4 : 8);
  return bytes;
}

const isLittleEndian = endianness() === 'LE';

/** struct tcp_md5sig · an undefined password has length 0, which removes the key. */
export function encodeMd5Key(peers: Prefix, password: string | undefined): Uint8Array {
  const bytes = new Uint8Array(MD5SIG_BYTES);
  const view = new DataView(bytes.buffer);
  const key = new TextEncoder().encode(password ?? '');
  if (key.length > MAX_KEY_BYTES) throw new RangeError(`tcp md5 key is ${key.length} bytes, expected 1 to 80`);
  if (password === '') throw new RangeError('tcp md5 key is empty, expected 1 to 80 bytes');
  bytes.set(sockaddr(prefixAddress(peers)));
  if (!isHost(peers)) {
    bytes[128] = TCP_MD5SIG_FLAG_PREFIX;
    bytes[129] = prefixLength(peers);
  }
  view.setUint16(130, key.length, isLittleEndian);
  bytes.set(key, 136);
  return bytes;
}

function isHost(prefix: Prefix): boolean {
  return prefixLength(prefix) === maxLength(prefixFamily(prefix));
}

interface Calls {
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly close: (fd: number) => number;
  readonly setsockopt: (fd: number, level: number, option: number, value: Uint8Array, length: number) => number;
  readonly errorText: () => string;
}

function declareCalls({ declare, koffi }: CLibrary): Calls {
  return {
    socket: declare('int socket(int domain, int type, int protocol)'),
    bind: declare('int bind(int fd, const uint8_t *address, uint32_t length)'),
    close: declare('int close(int fd)'),
    setsockopt: declare('int setsockopt(int fd, int level, int option, const uint8_t *value, uint32_t length)'),
    errorText: () => errnoName(koffi.errno(), koffi.os.errno),
  };
}

function errnoName(errno: number, names: Readonly<Record<string, number>>): string {
  const found = Object.entries(names).find(([, value]) => value === errno);
  return found?.[0] ?? `errno ${errno}`;
}

/** Socket options by the C library; loads it when first used. */
export function createSocketPort(): SocketPort {
  return new LibcSockets();
}

class LibcSockets implements SocketPort {
  #calls: Calls | undefined;

  unavailable(): string | undefined {
    const loaded = loadLibrary();
    return loaded.ok ? undefined : loaded.reason;
  }

  open(family: Family): number {
    const fd = this.#use().socket(AF[family], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error(`cannot open an ipv${family} socket: ${this.#use().errorText()}`);
    return fd;
  }

  bind(fd: number, address: Ip): void {
    this.#set({ fd, level: SOL_SOCKET, option: SO_REUSEADDR, value: int(1), what: 'set SO_REUSEADDR' });
    const bytes = sockaddr(address);
    if (this.#use().bind(fd, bytes, bytes.length) === 0) return;
    throw new Error(`cannot bind to ${address}: ${this.#use().errorText()}`);
  }

  close(fd: number): void {
    this.#use().close(fd);
  }

  setKey(fd: number, peers: Prefix, password: string | undefined): void {
    const option = isHost(peers) ? TCP_MD5SIG : TCP_MD5SIG_EXT;
    const what = `${password === undefined ? 'remove' : 'set'} the tcp md5 key of ${peers}`;
    this.#set({ fd, level: IPPROTO.tcp, option, value: encodeMd5Key(peers, password), what });
  }

  setTtl(fd: number, family: Family, ttl: number): void {
    this.#set({ fd, ...TTL[family], value: int(ttl), what: `send with ttl ${ttl}` });
  }

  setMinTtl(fd: number, family: Family, ttl: number): void {
    this.#set({ fd, ...MIN_TTL[family], value: int(ttl), what: `require ttl ${ttl}` });
  }

  bindToDevice(fd: number, device: string): void {
    const value = new TextEncoder().encode(`${device}\0`);
    this.#set({ fd, level: SOL_SOCKET, option: SO_BINDTODEVICE, value, what: `bind to device ${device}` });
  }

  #set(call: {
    readonly fd: number;
    readonly level: number;
    readonly option: number;
    readonly value: Uint8Array;
    readonly what: string;
  }): void {
    const { fd, level, option, value, what } = call;
    if (this.#use().setsockopt(fd, level, option, value, value.length) === 0) return;
    throw new Error(`cannot ${what}: ${this.#use().errorText()}`);
  }

  #use(): Calls {
    if (this.#calls !== undefined) return this.#calls;
    const loaded = loadLibrary();
    if (!loaded.ok) throw new Error(loaded.reason);
    this.#calls = declareCalls(loaded.library);
    return this.#calls;
  }
}

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
