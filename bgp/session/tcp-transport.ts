/**
 * Transport over node:net: the only place of the speaker that touches sockets.
 *
 * IPv4 peers that reach an IPv6 listener are named by their IPv4 address. Writes of one turn leave in one segment
 * (cork); a closing socket is read, and its bytes dropped, until the peer closes too or two seconds have passed, so that
 * the last NOTIFICATION arrives.
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { familyOf, type Ip, tryParseIp } from '#net';
import { SpeakerError } from '../errors.ts';
import type {
  Dial,
  DialHandlers,
  DialTarget,
  ListenAddress,
  Listener,
  Transport,
  Wire,
  WireHandlers,
} from './transport.ts';

const LINGER_MS = 2_000;
const BACKLOG = 511;

export const tcpTransport: Transport = { dial, listen };

function dial(target: DialTarget, handlers: DialHandlers): Dial {
  const { address, port, localAddress } = target;
  const socket = createConnection({
    host: address,
    port,
    family: familyOf(address),
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const fail = (error: Error): void => {
    socket.destroy();
    handlers.failed(`cannot connect to ${address} port ${port}: ${errorCode(error)}`);
  };
  socket.once('error', fail);
  socket.once('connect', () => {
    socket.off('error', fail);
    handlers.connected(wireOf(socket, address));
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

function listen({ address, port }: ListenAddress, accept: (wire: Wire) => void): Promise<Listener> {
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    const remote = toIp(socket.remoteAddress);
    if (remote === undefined) socket.on('error', ignore).destroy();
    else accept(wireOf(socket, remote));
  });
  const { promise, resolve, reject } = Promise.withResolvers<Listener>();
  server.once('error', (error) => reject(listenError(error, address, port)));
  server.listen({ host: address, port, ipv6Only: familyOf(address) === 6, backlog: BACKLOG }, () => {
    server.removeAllListeners('error');
    server.on('error', ignore); // accept() errors such as EMFILE: that connection is lost, the peer tries again
    resolve({ close: () => void server.close() });
  });
  return promise;
}

function wireOf(socket: Socket, remote: Ip): Wire {
  let corked = false;
  let ours = false;
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  return {
    remote,
    local: toIp(socket.localAddress),
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
      return socket.write(bytes);
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
  socket.on('data', (chunk) => {
    if (!closedByUs() && typeof chunk !== 'string') handlers.data(chunk);
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
