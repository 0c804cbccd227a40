/** Two speakers in two worker threads over loopback TCP: the proxy carries routes, questions, errors and crashes. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type BestPathBatch, type PeerSpec, type Speaker, type SpeakerConfig, SpeakerError } from '#bgp';
import { parseIp, parsePrefix } from '#net';
import { startSpeakerThread } from '../../src/speaker/client.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const started: Speaker[] = [];
after(() => Promise.all(started.map((speaker) => speaker.stop('restart'))));

function config(last: number, port: number): SpeakerConfig {
  const address = parseIp(`127.0.0.${last}`);
  return {
    as: 64512,
    routerId: address,
    listen: [{ address, port }],
    gracefulRestart: { restartTimeSec: 60, restarting: false },
    addresses: [address],
  };
}

function peer(last: number, port: number, localLast: number): PeerSpec {
  return {
    name: `peer-${last}`,
    address: parseIp(`127.0.0.${last}`),
    localAddress: parseIp(`127.0.0.${localLast}`),
    port,
    as: 64512,
    passive: false,
    holdTimeSec: 9,
    connectRetrySec: 1,
    families: [4],
    nextHopSelf: { 4: parseIp(`192.0.2.${localLast}`) },
    gracefulRestart: true,
    import: { rules: [], default: 'accept' },
    export: { rules: [], default: 'accept' },
    label: 'mesh',
  };
}

async function startThread(speakerConfig: SpeakerConfig): Promise<Speaker> {
  const speaker = await startSpeakerThread(speakerConfig, silent);
  started.push(speaker);
  return speaker;
}

test('routes, statuses and an orderly stop pass between two speaker threads', { timeout: 20_000 }, async () => {
  const port = 20_000 + (process.pid % 10_000);
  const a = await startThread(config(11, port));
  const b = await startThread(config(12, port));
  const { promise, resolve } = Promise.withResolvers<void>();
  const known = new Map<string, BestPathBatch['changes'][number]>();
  a.onBestPaths(({ changes, inSync }) => {
    for (const change of changes) known.set(change.prefix, change);
    if (inSync && known.size === 5_000) resolve();
  });
  await Promise.all([a.start(), b.start()]);
  a.setPeers([peer(12, port, 11)]);
  a.setOriginated([]);
  b.setPeers([peer(11, port, 12)]);
  b.setOriginated(Array.from({ length: 5_000 }, (_, i) => ({ prefix: parsePrefix(`10.${i >> 8}.${i & 255}.0/26`) })));
  await promise;
  assert.deepEqual(known.get('10.0.7.0/26')?.nextHops, ['192.0.2.12']);
  const [status] = await a.peers();
  assert.deepEqual([status?.state, status?.received], ['established', 5_000]);
  assert.equal((await a.routes()).length, 5_000);

  const gone = Promise.withResolvers<string>();
  a.onPeerChange(({ to, reason }) => (to === 'idle' ? gone.resolve(reason) : undefined));
  await b.stop('shutdown');
  assert.match(await gone.promise, /NOTIFICATION 6\/9/);
  await assert.rejects(b.peers(), /speaker thread ended/);
});

test('a taken port is refused with the address in the error', { timeout: 20_000 }, async () => {
  const port = 31_000 + (process.pid % 10_000);
  const [first, second] = [await startThread(config(13, port)), await startThread(config(13, port))];
  await first.start();
  await assert.rejects(second.start(), (error) => {
    assert.ok(error instanceof SpeakerError);
    assert.equal(error.code, 'LISTEN_TAKEN');
    assert.match(error.message, /127\.0\.0\.13 port \d+: taken/);
    return true;
  });
});

test('a crash of the thread is reported once and fails what was asked', { timeout: 20_000 }, async () => {
  const speaker = await startThread(config(14, 1));
  const fatal = Promise.withResolvers<Error>();
  speaker.onFatal((error) => fatal.resolve(error));
  // A programming error: not even an array.
  speaker.setPeers(undefined as unknown as readonly PeerSpec[]);
  assert.match((await fatal.promise).message, /speaker thread crashed/);
  await assert.rejects(speaker.peers(), /speaker thread crashed/);
});
