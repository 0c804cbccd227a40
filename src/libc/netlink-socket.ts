/**
 * One rtnetlink socket (netlink(7)) by FFI, for a thread of its own: every call waits for the kernel. Requests go out in
 * batches with an acknowledgement on the last only; the errors of the others come with their sequence numbers.
 * Measured (docs/decisions/0013): 200,000 routes a second in batches of 256, where `ip -batch` does 88,000.
 */
import type { CLibrary } from './library.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const OPTIONS = { capAck: 10, extAck: 11, strictCheck: 12 } as const;
/** Errors of a whole batch must fit, each costs about a kilobyte of it. */
const RECEIVE_BUFFER_BYTES = 8 << 20;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const EINTR = 4;
const ENOENT = 2;

/** Words of the errors routes meet; the rest by number. */
const ERRORS: Readonly<Record<number, string>> = {
  1: 'Operation not permitted',
  2: 'No such file or directory',
  3: 'No such process',
  12: 'Cannot allocate memory',
  17: 'File exists',
  19: 'No such device',
  22: 'Invalid argument',
  95: 'Operation not supported',
  100: 'Network is down',
  101: 'Network is unreachable',
  113: 'No route to host',
};

/** What the kernel said about one request. */
export interface Refusal {
  readonly errno: number;
  readonly message: string;
}

type TakeMessage = (type: number, sequence: number, body: Buffer, flags: number) => boolean;

export class NetlinkSocket {
  readonly #library: CLibrary;
  readonly #fd: number;
  readonly #send: (...args: readonly unknown[]) => number;
  readonly #recv: (...args: readonly unknown[]) => number;
  readonly #close: (...args: readonly unknown[]) => number;
  readonly #buffer = Buffer.alloc(1 << 18);

  /** Opens one in this thread's network namespace · throws Error naming the call that failed. */
  constructor(library: CLibrary) {
    this.#library = library;
    const { declare } = library;
    this.#send = declare('long send(int fd, const void *data, size_t length, int flags)');
    this.#recv = declare('long recv(int fd, void *data, size_t length, int flags)');
    this.#close = declare('int close(int fd)');
    const setOption = declare('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');
    this.#fd = declare('int socket(int domain, int type, int protocol)')(AF_NETLINK, SOCK_RAW_CLOEXEC, 0);
    if (this.#fd < 0) throw this.#failure('socket');
    const value = Buffer.alloc(4);
    value.writeInt32LE(RECEIVE_BUFFER_BYTES);
    setOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4);
    value.writeInt32LE(1);
    for (const option of Object.values(OPTIONS)) {
      if (setOption(this.#fd, SOL_NETLINK, option, value, 4) < 0) throw this.#failure(`netlink option ${option}`);
    }
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK);
    if (declare('int bind(int fd, const void *address, uint32_t length)')(this.#fd, address, 12) < 0)
      throw this.#failure('bind');
  }

  /** Sends requests of which only the last, `lastSequence`, asks for an acknowledgement; resolves the errors by sequence. */
  request(bytes: Uint8Array, lastSequence: number, refused: Map<number, Refusal>): void {
    this.#write(bytes);
    const take: TakeMessage = (type, sequence, body) => {
      if (type !== NLMSG_ERROR) return false;
      const errno = -body.readInt32LE(0);
      if (errno !== 0) refused.set(sequence, { errno, message: messageOf(errno, body) });
      return sequence === lastSequence;
    };
    while (!this.#read(take)) continue;
  }

  /** Sends one dump request and hands over each message's type and body; false = the table changed under it. */
  dump(bytes: Uint8Array, onMessage: (type: number, body: Buffer) => void): boolean {
    this.#write(bytes);
    let isWhole = true;
    const take: TakeMessage = (type, _, body, flags) => {
      if ((flags & NLM_F_DUMP_INTR) !== 0) isWhole = false;
      if (type === NLMSG_DONE) return true;
      if (type !== NLMSG_ERROR) {
        onMessage(type, body);
        return false;
      }
      const errno = -body.readInt32LE(0);
      // Absent is a table that was never written to.
      if (errno !== 0 && errno !== ENOENT) throw new Error(`netlink dump: ${messageOf(errno, body)}`);
      return true;
    };
    while (!this.#read(take)) continue;
    return isWhole;
  }

  close(): void {
    this.#close(this.#fd);
  }

  #write(bytes: Uint8Array): void {
    if (this.#send(this.#fd, bytes, bytes.length, 0) !== bytes.length) throw this.#failure('send');
  }

  /** Takes what one call brings; true when the last message awaited was among it. */
  #read(take: TakeMessage): boolean {
    const buffer = this.#buffer;
    const length = this.#recv(this.#fd, buffer, buffer.length, 0);
    if (length < 0) {
      if (this.#library.koffi.errno() === EINTR) return false;
      throw this.#failure('recv');
    }
    let isLast = false;
    for (let at = 0; at + 16 <= length; ) {
      const size = buffer.readUInt32LE(at);
      if (size < 16 || at + size > length) break;
      const body = buffer.subarray(at + 16, at + size);
      if (take(buffer.readUInt16LE(at + 4), buffer.readUInt32LE(at + 8), body, buffer.readUInt16LE(at + 6)))
        isLast = true;
      at += (size + 3) & ~3;
    }
    return isLast;
  }

  #failure(call: string): Error {
    const errno = this.#library.koffi.errno();
    return new Error(`netlink ${call}: ${ERRORS[errno] ?? `error ${errno}`}`);
  }
}

/** The kernel's own words (NLMSGERR_ATTR_MSG) where it has some; the refused header of 16 bytes comes before them. */
function messageOf(errno: number, body: Buffer): string {
  const words = ERRORS[errno] ?? `error ${errno}`;
  for (let at = 20; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at);
    if (length < 4) break;
    if ((body.readUInt16LE(at + 2) & 0x3fff) === 1) {
      return `${words} (${body.toString('utf8', at + 4, at + length).replace(/\0.*$/s, '')})`;
    }
    at += (length + 3) & ~3;
  }
  return words;
}
