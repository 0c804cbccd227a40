// A UDP probe that runs inside a namespace. Every mode ends by itself.
//
//   receive ADDRESS PORT                     prints the source of the first datagram
//   send ADDRESS PORT                        sends one every 100 ms, ten times
//   reflect ADDRESS PORT MS                  returns every datagram for MS milliseconds, prints how many sequence numbers came
//   stream ADDRESS PORT COUNT INTERVAL_MS    sends COUNT numbered datagrams at a steady rate, prints how many came back
//
// A stream keeps its rate by the clock and not by the timer: a late tick sends what is due, so 100 packets a second are 100
// packets a second. Losses are counted by sequence number, at the reflector and again at the sender.
import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';

const [mode, address = '', portText = '', ...rest] = process.argv.slice(2);
const port = Number(portText);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const waitForFirstMs = 3000;
/** How long after the last datagram an answer may still come. */
const lingerMs = 1000;

const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

function collectSequences(
  from: Socket,
  onMessage: (message: Buffer, port: number, address: string) => void,
): Set<number> {
  const seen = new Set<number>();
  from.on('message', (message, sender) => {
    if (message.length >= 4) seen.add(message.readUInt32BE(0));
    onMessage(message, sender.port, sender.address);
  });
  return seen;
}

async function stream(count: number, intervalMs: number): Promise<void> {
  const returned = collectSequences(socket, () => undefined);
  const begin = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor((performance.now() - begin) / intervalMs) + 1);
    for (; sent < due; sent += 1) {
      const message = Buffer.alloc(64);
      message.writeUInt32BE(sent, 0);
      socket.send(message, port, address);
    }
    await delay(intervalMs / 2);
  }
  const elapsedMs = performance.now() - begin;
  await delay(lingerMs);
  print({ sent: count, returned: returned.size, elapsedMs });
}

async function reflect(lifetimeMs: number): Promise<void> {
  const arrived = collectSequences(socket, (message, toPort, to) => socket.send(message, toPort, to));
  socket.bind(port, address);
  await delay(lifetimeMs);
  print({ arrived: arrived.size });
}

async function receive(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitForFirstMs);
  socket.once('message', (_, sender) => {
    print({ source: sender.address });
    resolve();
  });
  socket.bind(port, address);
  await promise;
  clearTimeout(timer);
}

async function send(): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    socket.send('manx', port, address);
    await delay(100);
  }
}

const [first = 0, second = 0] = rest.map(Number);
const modes: Readonly<Record<string, () => Promise<void>>> = {
  receive,
  send,
  reflect: async () => await reflect(first),
  stream: async () => await stream(first, second),
};
await modes[mode ?? '']?.();
socket.close();
