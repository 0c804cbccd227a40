/**
 * TCP by hand, in a network namespace of its own: connects from any address and sends the bytes it is told, in pieces of
 * the size it is told. Speaks lines of JSON on stdin and stdout; knows nothing of BGP.
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export type DriverRequest =
  | { readonly do: 'connect'; readonly session: number; readonly from: string; readonly to: string }
  | { readonly do: 'send'; readonly session: number; readonly hex: string; readonly piece: number }
  | { readonly do: 'close'; readonly session: number };

export type DriverEvent =
  | { readonly event: 'connected' | 'closed'; readonly session: number }
  | { readonly event: 'data'; readonly session: number; readonly hex: string };

const sockets = new Map<number, Socket>();

function say(event: DriverEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function act(request: DriverRequest): void {
  const { session } = request;
  const socket = sockets.get(session);
  switch (request.do) {
    case 'connect': {
      const made = connect({ host: request.to, port: 179, localAddress: request.from, noDelay: true });
      sockets.set(session, made);
      made.on('connect', () => say({ event: 'connected', session }));
      made.on('data', (chunk) => say({ event: 'data', session, hex: chunk.toString('hex') }));
      made.on('error', () => undefined); // a close follows
      made.on('close', () => {
        sockets.delete(session);
        say({ event: 'closed', session });
      });
      return;
    }
    case 'send': {
      const bytes = Buffer.from(request.hex, 'hex');
      if (socket === undefined) return;
      for (let at = 0; at < bytes.length; at += request.piece) socket.write(bytes.subarray(at, at + request.piece));
      return;
    }
    case 'close':
      socket?.destroy();
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => act(JSON.parse(line) as DriverRequest))
  .on('close', () => process.exit(0));
