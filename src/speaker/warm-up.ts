/**
 * Runs a speaker of its own on canned bytes before real ones come, so that the first full table meets compiled code.
 *
 * Measured: the first 100,000 prefixes cost 0.5 s cold and a third of that warm, because the engine interprets a function
 * until it has seen it often. Nothing leaves the thread: the transport is memory, the speaker is stopped and forgotten.
 * It works in turns of a few milliseconds and gives up after TURNS of them.
 */
import { createSpeaker, type PeerSpec, type SpeakerConfig, type Transport, type Wire, type WireHandlers } from '#bgp';
import { type Ip, parseIp } from '#net';
import type { Timers } from '#reconcile';

const AS = 64_512;
const SETS = 2_000;
const PER_UPDATE = 5;
const TURNS = 60;
const MARKER: readonly number[] = Array.from({ length: 16 }, () => 0xff);
const UPDATES_PER_TURN = 400;
const [SELF, FEED, SINK] = [parseIp('192.0.2.1'), parseIp('192.0.2.2'), parseIp('192.0.2.3')];

/** Resolves when the code is warm; never rejects. */
export async function warmUp(timers: Timers): Promise<void> {
  let accept: (wire: Wire) => void = () => {};
  const transport: Transport = {
    listen: (_at, accepts) => {
      accept = accepts;
      return Promise.resolve({ close: () => {}, protect: () => new Map() });
    },
    dial: () => ({ abort: () => {} }),
  };
  const silent = (): void => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  const speaker = createSpeaker({ config: CONFIG, timers, random: Math.random, log, transport });
  speaker.onBestPathsReady(() => {
    while (speaker.takeBestPaths(4096) !== undefined);
  });
  await speaker.start();
  speaker.setPeers([peer(FEED, AS + 1), peer(SINK, AS + 2)]);
  speaker.setOriginated([]);
  const [feed, sink] = [createWire(FEED), createWire(SINK)];
  for (const [{ wire, receive }, as, address] of [
    [feed, AS + 1, FEED],
    [sink, AS + 2, SINK],
  ] as const) {
    accept(wire);
    receive(open(as, address));
    receive(message(4, []));
  }
  for (let turn = 0; turn < TURNS; turn += 1) {
    const updates: number[] = [];
    for (let index = 0; index < UPDATES_PER_TURN; index += 1) updates.push(...update(turn * UPDATES_PER_TURN + index));
    feed.receive(Buffer.from(updates)); // as sockets give: a plain Uint8Array would warm other code
    const { promise, resolve } = Promise.withResolvers<void>();
    timers.set(resolve, 1);
    await promise;
  }
  await speaker.stop('restart');
}

const CONFIG: SpeakerConfig = {
  as: AS,
  routerId: SELF,
  listen: [{ address: SELF, port: 179 }],
  gracefulRestart: { restartTimeSec: 0, restarting: false },
  addresses: [SELF],
};

function peer(address: Ip, as: number): PeerSpec {
  const policy = {
    rules: [
      { name: 'all', match: { prefixes: [] as never[] }, action: 'reject' as const },
      { name: 'rest', match: {}, action: 'accept' as const },
    ],
    default: 'reject' as const,
  };
  return {
    name: address,
    address,
    port: 179,
    as,
    passive: true,
    holdTimeSec: 90,
    connectRetrySec: 60,
    families: [4],
    nextHopSelf: { 4: SELF },
    gracefulRestart: false,
    import: policy,
    export: policy,
    label: 'configured',
  };
}

function createWire(remote: Ip): { readonly wire: Wire; readonly receive: (bytes: Uint8Array) => void } {
  let handlers: WireHandlers | undefined;
  const wire: Wire = {
    remote,
    local: SELF,
    open: (on) => {
      handlers = on;
    },
    write: () => true,
    end: () => {},
    destroy: () => {},
  };
  return { wire, receive: (bytes) => handlers?.data(bytes) };
}

/** One message around these octets. */
function message(type: number, body: readonly number[]): Uint8Array {
  const length = 19 + body.length;
  return Uint8Array.from([...MARKER, length >> 8, length & 0xff, type, ...body]);
}

/** OPEN with the IPv4 unicast and four-octet AS capabilities. */
function open(as: number, address: Ip): Uint8Array {
  const id = address.split('.').map(Number);
  const capabilities = [1, 4, 0, 1, 0, 1, 65, 4, 0, 0, as >> 8, as & 0xff];
  return message(1, [
    4,
    as >> 8,
    as & 0xff,
    0,
    90,
    ...id,
    capabilities.length + 2,
    2,
    capabilities.length,
    ...capabilities,
  ]);
}

/** Announces five /24, the attribute set varying; every fourth turn of the table withdraws instead. */
function update(index: number): Uint8Array {
  const set = index % SETS;
  const prefixes: number[] = [];
  for (let at = 0; at < PER_UPDATE; at += 1) {
    const number = (index % 8_000) * PER_UPDATE + at;
    prefixes.push(24, 10, (number >> 8) & 0xff, number & 0xff);
  }
  if (index % 16 === 15) return message(2, [0, prefixes.length, ...prefixes, 0, 0]);
  const path = [0x40, 2, 14, 2, 3, 0, 0, (AS + 1) >> 8, (AS + 1) & 0xff, 0, 0, set >> 8, set & 0xff, 0, 0, 1, 1];
  const attributes = [0x40, 1, 1, 0, ...path, 0x40, 3, 4, 192, 0, 2, 2, 0xc0, 8, 4, 1, 2, set >> 8, set & 0xff];
  return message(2, [0, 0, attributes.length >> 8, attributes.length & 0xff, ...attributes, ...prefixes]);
}
