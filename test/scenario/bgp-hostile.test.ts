/** A peer that does everything wrong: the speaker answers with the right NOTIFICATION, once, and lives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Wire } from '#bgp';
import { type Ip, parseIp } from '#net';
import { type Network, Node, peerSpec, withNetwork } from './network.ts';

const EVIL = parseIp('192.0.2.66');
const MARKER = 'ff'.repeat(16);
// AS 64512, hold 90, id 192.0.2.66; multiprotocol IPv4 unicast
const OPEN = `${MARKER}002501 04 fc00 005a c0000242 08 0206 010400010001`.replaceAll(' ', '');
const KEEPALIVE = `${MARKER}001304`;

interface Client {
  send(hex: string): void;
  readonly received: number[];
  readonly notifications: string[];
  readonly closed: () => boolean;
}

/** Dials the node from the evil address and speaks bytes. */
async function dial(network: Network, to: Ip, reads = true): Promise<Client> {
  let wire: Wire | undefined;
  let isClosed = false;
  const received: number[] = [];
  const notifications: string[] = [];
  network.transport(EVIL).dial(
    { address: to, port: 179, localAddress: undefined },
    {
      connected: (connected) => {
        wire = connected;
        if (!reads) return;
        wire.open({
          data: (chunk) => {
            received.push(...chunk);
            notifications.push(...notificationsIn(received));
          },
          drained: () => {},
          closed: () => (isClosed = true),
        });
      },
      failed: () => (isClosed = true),
    },
  );
  await network.timers.advanceAsync(50);
  return { send: (hex) => void wire?.write(Buffer.from(hex, 'hex')), received, notifications, closed: () => isClosed };
}

/** Takes whole messages off the front and names the NOTIFICATIONs among them. */
function notificationsIn(bytes: number[]): string[] {
  const found: string[] = [];
  for (;;) {
    const length = ((bytes[16] ?? 0) << 8) | (bytes[17] ?? 0);
    if (bytes.length < 19 || bytes.length < length) return found;
    const message = bytes.splice(0, length);
    if (message[18] === 3) found.push(`${message[19]}/${message[20]}`);
  }
}

async function withVictim(seed: number, run: (network: Network, victim: Node) => Promise<void>): Promise<void> {
  await withNetwork(seed, async (network) => {
    const victim = new Node(network, 'victim', { address: '192.0.2.1', as: 64512 });
    const good = new Node(network, 'good', { address: '192.0.2.2', as: 64512 });
    const evil = new Node(network, 'evil', { address: EVIL, as: 64512 });
    await victim.start(
      [peerSpec(good), peerSpec(evil, { passive: true, prefixLimit: { received: 3, action: 'restart' } })],
      ['10.64.0.0/26'],
    );
    await good.start([peerSpec(victim)], ['10.64.1.0/26']);
    await network.timers.advanceAsync(5_000);
    await run(network, victim);
    const [toGood] = await victim.speaker.peers();
    assert.deepEqual(
      [toGood?.state, toGood?.flaps, victim.kernel.size],
      ['established', 0, 1],
      'the good peer is untouched',
    );
  });
}

const update = (body: string): string => `${MARKER}${(19 + body.length / 2).toString(16).padStart(4, '0')}02${body}`;
const ATTRIBUTES = '400101004002004003 04c0000242'.replaceAll(' ', '');
const announce = (nlri: string): string =>
  update(`0000${(ATTRIBUTES.length / 2).toString(16).padStart(4, '0')}${ATTRIBUTES}${nlri}`);

const rows: readonly { name: string; send: readonly string[]; expect: string }[] = [
  { name: 'a bad marker (§6.1)', send: [`00${OPEN.slice(2)}`], expect: '1/1' },
  { name: 'a length below 19 (§6.1)', send: [`${MARKER}000501`], expect: '1/2' },
  { name: 'an unknown type (§6.1)', send: [`${MARKER}001309`], expect: '1/3' },
  { name: 'KEEPALIVE before OPEN (RFC 6608)', send: [KEEPALIVE], expect: '5/1' },
  { name: 'UPDATE before OPEN (RFC 6608)', send: [update('00000000')], expect: '5/1' },
  { name: 'UPDATE instead of KEEPALIVE (RFC 6608)', send: [OPEN, update('00000000')], expect: '5/2' },
  { name: 'a second OPEN (RFC 6608)', send: [OPEN, KEEPALIVE, OPEN], expect: '5/3' },
  { name: 'another AS (§6.2)', send: [OPEN.replace('04fc00', '04fc01')], expect: '2/2' },
  { name: 'hold time 1 (§6.2)', send: [OPEN.replace('005a', '0001')], expect: '2/6' },
  { name: 'our own identifier (§6.2)', send: [OPEN.replace('c0000242', 'c0000201')], expect: '2/3' },
  { name: 'attributes beyond the message (§6.3)', send: [OPEN, KEEPALIVE, update('0000ffff')], expect: '3/1' },
  { name: 'a prefix longer than 32 (RFC 7606 §5.3)', send: [OPEN, KEEPALIVE, announce('210a000000')], expect: '3/10' },
  {
    name: 'more prefixes than allowed (RFC 4486)',
    send: [OPEN, KEEPALIVE, announce('080a080b080c080d')],
    expect: '6/1',
  },
];

for (const { name, send, expect } of rows) {
  test(`${name} earns ${expect} and nothing else`, () =>
    withVictim(1, async (network, victim) => {
      const client = await dial(network, victim.address);
      for (const hex of send) client.send(hex);
      await network.timers.advanceAsync(500);
      assert.deepEqual(client.notifications, [expect]);
      assert.ok(client.closed(), 'and the connection is closed');
    }));
}

test('half a header and silence: hold timer, 4/0', () =>
  withVictim(2, async (network, victim) => {
    const client = await dial(network, victim.address);
    client.send(MARKER.slice(0, 18));
    await network.timers.advanceAsync(239_000);
    assert.equal(client.closed(), false);
    await network.timers.advanceAsync(2_000);
    assert.deepEqual(client.notifications, ['4/0']);
  }));

test('NOTIFICATIONs are never answered', () =>
  withVictim(3, async (network, victim) => {
    const client = await dial(network, victim.address);
    client.send(`${MARKER}0015030602`);
    await network.timers.advanceAsync(500);
    assert.deepEqual(client.notifications, []);
    assert.ok(client.closed());
  }));

test('a well-formed session with junk in its UPDATEs: whatever the bytes, the speaker lives', async () => {
  for (let seed = 1; seed <= 300; seed++) {
    await withVictim(seed, async (network, victim) => {
      const client = await dial(network, victim.address);
      client.send(OPEN);
      client.send(KEEPALIVE);
      for (let i = 0; i < 20; i++) {
        const junk = Array.from({ length: Math.floor(network.random() * 60) }, () =>
          Math.floor(network.random() * 256),
        );
        // Half of them with honest list lengths, so that the junk reaches the attributes.
        const hex = Buffer.from(junk).toString('hex');
        const honest = `0000${junk.length.toString(16).padStart(4, '0')}${hex}`;
        client.send(update(network.random() < 0.5 ? honest : hex.padEnd(8, '0')));
      }
      await network.timers.advanceAsync(500);
      assert.ok(client.notifications.length <= 1, 'at most one NOTIFICATION');
    });
  }
});

test('pure noise on the connection: one NOTIFICATION, closed', async () => {
  for (let seed = 1; seed <= 100; seed++) {
    await withVictim(seed, async (network, victim) => {
      const client = await dial(network, victim.address);
      const noise = Array.from({ length: 200 }, () => Math.floor(network.random() * 256));
      client.send(Buffer.from(noise).toString('hex'));
      await network.timers.advanceAsync(500);
      assert.deepEqual(client.notifications, ['1/1']);
    });
  }
});

test('a peer that never reads is ended by the send hold timer, and costs no memory meanwhile (RFC 9687)', () =>
  withVictim(5, async (network, victim) => {
    const client = await dial(network, victim.address);
    client.send(OPEN.replace('005a', '0000')); // no hold time: only the send hold timer can end this
    client.send(KEEPALIVE);
    await network.timers.advanceAsync(500);
    network.stall(EVIL);
    const reasons: string[] = [];
    victim.speaker.onPeerChange(({ reason }) => reasons.push(reason));
    for (let round = 0; round < 10; round++) {
      victim.originate(Array.from({ length: 5_000 }, (_, i) => `10.${100 + round}.${i >> 8}.${i & 255}/32`));
      await network.timers.advanceAsync(1_000);
    }
    const written = network.inFlight(EVIL);
    assert.ok(written > 64 * 1024 && written < 256 * 1024, `${written} bytes written towards it`);
    await network.timers.advanceAsync(481_000);
    assert.ok(reasons.includes('send hold timer expired'), reasons.join('; '));
    victim.originate(['10.64.0.0/26']);
    await network.timers.advanceAsync(1_000);
  }));
