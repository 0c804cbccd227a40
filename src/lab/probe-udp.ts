// A UDP probe that runs inside a namespace: `receive ADDRESS PORT` prints the source of the first datagram and ends;
// `send ADDRESS PORT` sends one every 100 ms, ten times. Both end by themselves within 3 s.
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';

const [mode, address = '', port = ''] = process.argv.slice(2);
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
const lifetimeMs = 3000;

if (mode === 'receive') {
  setTimeout(() => socket.close(), lifetimeMs).unref();
  socket.bind(Number(port), address);
  socket.once('message', (_, sender) => {
    process.stdout.write(`${sender.address}\n`);
    socket.close();
  });
} else {
  for (let i = 0; i < 10; i += 1) {
    socket.send('manx', Number(port), address);
    await delay(100);
  }
  socket.close();
}
