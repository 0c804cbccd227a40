/** Two speaker threads with TCP MD5 over loopback: the key changes under a running session, which does not end. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { PeerSpec, PeerStatus, Speaker } from '#bgp';
import { createSocketPort } from '#libc';
import { parseIp, parsePrefix } from '#net';
import { startSpeakerThread } from '../../src/speaker/client.ts';

const reason = createSocketPort().unavailable();
const options = { ...(reason === undefined ? {} : { skip: reason }), timeout: 30_000 };
const logged: string[] = [];
const note = (message: string, fields: object): void => void logged.push(message, JSON.stringify(fields));
const log = { debug: note, info: note, warn: note, error: note };
const started: Speaker[] = [];
after(() => Promise.all(started.map((speaker) => speaker.stop('restart'))));

const port = 32_000 + (process.pid % 10_000);

async function startThread(last: number): Promise<Speaker> {
  const address = parseIp(`127.0.1.${last}`);
  const gracefulRestart = { restartTimeSec: 60, restarting: false };
  const config = { as: 64512, routerId: address, listen: [{ address, port }], gracefulRestart, addresses: [address] };
  const speaker = await startSpeakerThread(config, log);
  started.push(speaker);
  await speaker.start();
  speaker.setOriginated([{ prefix: parsePrefix(`10.0.${last}.0/24`) }]);
  return speaker;
}

function peer(last: number, localLast: number, password: string): PeerSpec {
  return {
    name: `peer-${last}`,
    address: parseIp(`127.0.1.${last}`),
    localAddress: parseIp(`127.0.1.${localLast}`),
    port,
    as: 64512,
    passive: false,
    holdTimeSec: 9,
    connectRetrySec: 1,
    families: [4],
    nextHopSelf: { 4: parseIp(`192.0.2.${localLast}`) },
    gracefulRestart: true,
    password,
    ttlSecurity: 1,
    import: { rules: [], default: 'accept' },
    export: { rules: [], default: 'accept' },
    label: 'mesh',
  };
}

async function until(speaker: Speaker, ready: (status: PeerStatus) => boolean): Promise<PeerStatus> {
  for (;;) {
    const [status] = await speaker.peers();
    if (status !== undefined && ready(status)) return status;
    await new Promise((resolve) => void setTimeout(resolve, 50));
  }
}

test(
  'a key changes on both ends without a flap, routes follow, and no key is ever logged or shown',
  options,
  async () => {
    const a = await startThread(11);
    const b = await startThread(12);
    a.setPeers([peer(12, 11, 'first-key')]);
    b.setPeers([peer(11, 12, 'first-key')]);
    await until(a, ({ state, received }) => state === 'established' && received === 1);
    a.setPeers([peer(12, 11, 'second-key')]);
    b.setOriginated([]);
    b.setPeers([peer(11, 12, 'second-key')]);
    const status = await until(a, ({ received }) => received === 0);
    assert.deepEqual([status.state, status.flaps, status.security], ['established', 0, ['md5', 'gtsm']]);
    a.setPeers([peer(12, 11, 'third-key')]);
    b.setOriginated([{ prefix: parsePrefix('10.0.12.0/24') }]);
    await new Promise((resolve) => void setTimeout(resolve, 500));
    assert.equal((await a.peers())[0]?.received, 0, 'while the keys differ nothing arrives');
    b.setPeers([peer(11, 12, 'third-key')]);
    const healed = await until(a, ({ received }) => received === 1);
    assert.equal(healed.flaps, 0);
    assert.doesNotMatch(JSON.stringify([logged, await a.peers(), await b.peers()]), /(first|second|third)-key/);
  },
);
