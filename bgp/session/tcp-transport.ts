/**
 * Transport over node:net: the only place of the speaker that touches sockets.
 *
 * IPv4 peers that reach an IPv6 listener are named by their IPv4 address. Writes of one turn leave in one segment
 * (cork); a closing socket is read, and its bytes dropped, until the peer closes too or two seconds have passed, so that
 * the last NOTIFICATION arrives. What node:net cannot say to a socket (RFC 2385 keys, RFC 5082 TTLs, a device) goes
 * through a SocketPort; without one it is refused, not ignored.
 */
import { createConnection, createServer, type Server, Socket } from 'node:net';
import { familyOf, hostPrefix, type Ip, type Prefix, prefixFamily, tryParseIp } from '#net';
import { SpeakerError } from '../errors.ts';
import type {
  Dial,
  DialHandlers,
  DialTarget,
  ListenAddress,
  Listener,
  Protection,
  SocketOptions,
  SocketPort,
  Transport,
  Wire,
  WireHandlers,
} from './transport.ts';

const LINGER_MS = 2_000;
const BACKLOG = 511;
/** How long one peer's bytes may hold a turn of the event loop; it may read two megabytes in one. */
const TURN_MS = 4;
/** Bytes that may wait to be sent before a peer counts as slow; buffers are shared by the peers of a group. */
const BUFFER_BYTES = 1024 * 1024;
/** RFC 5082 §3: what leaves with it and passes no router arrives with it. */
const FULL_TTL = 255;
/** RFC 4594 §3.1: routing protocols are network control, class selector 6. */
const NETWORK_CONTROL = 0xc0;

/** TCP; `sockets` is needed only for connections that ask for options. */
export function createTcpTransport(sockets?: SocketPort): Transport {
  return {
    whyNot: (options) => whyNot(options, sockets),
    dial: (target, handlers) => dial(target, handlers, sockets),
    listen: (at, accept) => listen(at, accept, sockets),
  };
}

function whyNot(options: SocketOptions, sockets: SocketPort | undefined): string | undefined {
  if (!asksForAny(options)) return undefined;
  const reason = sockets === undefined ? 'this program has no socket options' : sockets.unavailable();
  return reason === undefined ? undefined : `${nameOptions(options)} not available: ${reason}`;
}

function asksForAny({ password, ttlSecurity, ttl, interface: device }: SocketOptions): boolean {
  return [password, ttlSecurity, ttl, device].some((option) => option !== undefined);
}

function nameOptions({ password, ttlSecurity, ttl, interface: device }: SocketOptions): string {
  const names: string[] = [];
  if (password !== undefined) names.push('tcp md5');
  if (ttlSecurity !== undefined) names.push('ttl security');
  if (ttl !== undefined) names.push('ttl');
  if (device !== undefined) names.push(`binding to ${device}`);
  return names.join(', ');
}

function dial(target: DialTarget, handlers: DialHandlers, sockets: SocketPort | undefined): Dial {
  const { address, port } = target;
  const where = `${address} port ${port}`;
  let socket: Socket;
  try {
    socket = connectionTo(target, sockets);
  } catch (error) {
    let aborted = false;
    const reason = error instanceof Error ? error.message : String(error);
    process.nextTick(() => (aborted ? undefined : handlers.failed(`cannot connect to ${where}: ${reason}`)));
    return { abort: () => void (aborted = true) };
  }
  const fail = (error: Error): void => {
    socket.destroy();
    handlers.failed(`cannot connect to ${where}: ${errorCode(error)}`);
  };
  markControl(socket);
  socket.once('error', fail);
  socket.once('connect', () => {
    socket.off('error', fail);
    socket.setNoDelay(true);
    handlers.connected(wireOf(socket, address, sockets));
  });
  return {
    abort: () => {
      socket.off('error', fail);
      socket.removeAllListeners('connect');
      socket.on('error', ignore);
      socket.destroy();
    },
  };
}

function connectionTo(target: DialTarget, sockets: SocketPort | undefined): Socket {
  const { address, port, localAddress, options = {} } = target;
  const family = familyOf(address);
  if (!asksForAny(options)) {
    return createConnection({ host: address, port, family, ...(localAddress === undefined ? {} : { localAddress }) });
  }
  const refused = whyNot(options, sockets);
  if (refused !== undefined || sockets === undefined) throw new Error(refused);
  const fd = sockets.open(family);
  try {
    applyOptions({ fd, peer: address, options, sockets });
    if (localAddress !== undefined) sockets.bind(fd, localAddress);
  } catch (error) {
    sockets.close(fd);
    throw error;
  }
  return new Socket({ fd }).connect({ host: address, port, family });
}

/** Node 24.15 and later; before that packets carry no mark. */
function markControl(socket: Socket): void {
  if ('setTypeOfService' in socket) tryTo(() => socket.setTypeOfService(NETWORK_CONTROL));
}

function applyOptions(on: {
  readonly fd: number;
  readonly peer: Ip;
  readonly options: SocketOptions;
  readonly sockets: SocketPort;
}): void {
  const { fd, peer, options, sockets } = on;
  const { password, ttlSecurity, ttl, interface: device } = options;
  const family = familyOf(peer);
  if (device !== undefined) sockets.bindToDevice(fd, device);
  if (password !== undefined) sockets.setKey(fd, hostPrefix(peer), password);
  if (ttl !== undefined) sockets.setTtl(fd, family, ttl);
  if (ttlSecurity === undefined) return;
  sockets.setTtl(fd, family, FULL_TTL);
  sockets.setMinTtl(fd, family, FULL_TTL + 1 - ttlSecurity);
}

function listen(
  { address, port }: ListenAddress,
  accept: (wire: Wire) => void,
  sockets: SocketPort | undefined,
): Promise<Listener> {
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    const remote = toIp(socket.remoteAddress);
    if (remote === undefined) {
      socket.on('error', ignore).destroy();
      return;
    }
    markControl(socket);
    accept(wireOf(socket, remote, sockets));
  });
  const { promise, resolve, reject } = Promise.withResolvers<Listener>();
  server.once('error', (error) => reject(listenError(error, address, port)));
  server.listen({ host: address, port, ipv6Only: familyOf(address) === 6, backlog: BACKLOG }, () => {
    server.removeAllListeners('error');
    server.on('error', ignore); // accept() errors such as EMFILE: that connection is lost, the peer tries again
    resolve(guarded(server, address, sockets));
  });
  return promise;
}

/** A listener and the keys its socket holds, so that only what changed is set. */
function guarded(server: Server, address: Ip, sockets: SocketPort | undefined): Listener {
  const held = new Map<Prefix, string>();
  const family = familyOf(address);
  let hasFullTtl = false;
  const attempt = (act: (port: SocketPort, fd: number) => void): string | undefined => {
    const unavailable = sockets === undefined ? 'this program has no socket options' : sockets.unavailable();
    if (unavailable !== undefined || sockets === undefined) return unavailable;
    return tryTo(() => act(sockets, fdOf(server)));
  };
  return {
    close: () => void server.close(),
    protect: ({ keys, fullTtl }: Protection) => {
      const faults = new Map<Prefix | 'ttl', string>();
      const wanted = new Map([...keys].filter(([peers]) => prefixFamily(peers) === family));
      for (const peers of [...held.keys()].filter((known) => !wanted.has(known))) {
        attempt((port, fd) => port.setKey(fd, peers, undefined));
        held.delete(peers);
      }
      for (const [peers, password] of wanted) {
        if (held.get(peers) === password) continue;
        const fault = attempt((port, fd) => port.setKey(fd, peers, password));
        if (fault === undefined) held.set(peers, password);
        else faults.set(peers, fault);
      }
      if (!fullTtl || hasFullTtl) return faults;
      const fault = attempt((port, fd) => port.setTtl(fd, family, FULL_TTL));
      if (fault === undefined) hasFullTtl = true;
      else faults.set('ttl', fault);
      return faults;
    },
  };
}

function tryTo(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** node:net shows the descriptor of a handle nowhere else; measured on Node 24 and 26 for listening and accepted sockets. */
function fdOf(owner: Server | Socket): number {
  const { _handle: handle } = owner as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  if (typeof fd !== 'number' || fd < 0) throw new Error('the socket has no file descriptor');
  return fd;
}

function wireOf(socket: Socket, remote: Ip, sockets: SocketPort | undefined): Wire {
  let corked = false;
  let ours = false;
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  return {
    remote,
    local: toIp(socket.localAddress),
    device: socket.remoteAddress?.split('%')[1],
    secure: (options) => {
      if (!asksForAny(options)) return undefined;
      const refused = whyNot(options, sockets);
      if (refused !== undefined || sockets === undefined) return refused;
      return tryTo(() => applyOptions({ fd: fdOf(socket), peer: remote, options, sockets }));
    },
    open: (handlers) => {
      attach(socket, handlers, () => ours);
      socket.resume();
    },
    write: (bytes) => {
      if (!corked) {
        corked = true;
        socket.cork();
        process.nextTick(uncork);
      }
      socket.write(bytes);
      return socket.writableLength < BUFFER_BYTES;
    },
    end: () => {
      ours = true;
      // Bytes still unread or on their way would turn a close into a reset that overtakes the NOTIFICATION: say that
      // nothing more comes from here, read on, and leave the close to the peer, for a while.
      socket.on('error', ignore).end();
      socket.resume();
      const cut = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => clearTimeout(cut));
    },
    destroy: () => {
      ours = true;
      socket.on('error', ignore).destroy();
    },
  };
}

function attach(socket: Socket, handlers: WireHandlers, closedByUs: () => boolean): void {
  let reason = 'connection closed by the peer';
  let began: number | undefined;
  const nextTurn = (): void => {
    began = undefined;
    socket.resume();
  };
  socket.on('data', (chunk) => {
    if (closedByUs() || typeof chunk === 'string') return;
    if (began === undefined) {
      began = performance.now();
      setImmediate(nextTurn);
    }
    handlers.data(chunk);
    // Timers and other peers would wait for their turn.
    if (performance.now() - began >= TURN_MS && !closedByUs()) socket.pause();
  });
  socket.on('drain', () => {
    if (!closedByUs()) handlers.drained();
  });
  socket.on('error', (error) => {
    reason = `connection lost: ${errorCode(error)}`;
  });
  socket.on('close', () => {
    if (!closedByUs()) handlers.closed(reason);
  });
}

function listenError(error: Error, address: Ip, port: number): SpeakerError {
  const where = `${address} port ${port}`;
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new SpeakerError('LISTEN_TAKEN', `cannot listen on ${where}: taken by another process`, error);
    case 'EACCES':
      return new SpeakerError('LISTEN_DENIED', `cannot listen on ${where}: needs CAP_NET_BIND_SERVICE`, error);
    case 'EADDRNOTAVAIL':
      return new SpeakerError('LISTEN_ADDRESS', `cannot listen on ${where}: not an address of this node`, error);
    default:
      return new SpeakerError('LISTEN_FAILED', `cannot listen on ${where}: ${error.message}`, error);
  }
}

function errorCode(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}

/** Without the zone of a link-local address, and IPv4 where the socket says ::ffff:a.b.c.d. */
function toIp(text: string | undefined): Ip | undefined {
  const plain = text?.split('%')[0]?.replace(/^::ffff:(?=\d+\.)/, '');
  return plain === undefined ? undefined : tryParseIp(plain);
}

function ignore(): void {}
