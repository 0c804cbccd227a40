/**
 * Manx as a target of the paired BGP benchmark (bgpbench/README.md): one executable, `version | config | start | count`.
 *
 * The speaker runs as the agent runs it: in its worker thread, import and export policy and validation on, best paths
 * reported to the main thread. Peers come from $BB_PEERS, lines of `name ip as kind`.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import type { PeerSpec, RoutePolicy } from '#bgp';
import { parseIp } from '#net';
import { startSpeakerThread } from '#speaker';

const directory = process.env['BB_DIR'] ?? '.';
const control = join(directory, 'control');
const address = parseIp(process.env['BB_LOCAL_IP'] ?? '10.99.0.1');
const as = Number(process.env['BB_LOCAL_AS'] ?? 65_000);

/** What BIRD's `import all; export all` is, but judged rule by rule: a default route never, anything else by a prefix rule. */
const POLICY: RoutePolicy = {
  rules: [
    {
      name: 'anything but a default route',
      match: { prefixes: [{ prefix: '0.0.0.0/0' as never, minLength: 1, maxLength: 32 }] },
      action: 'accept',
    },
  ],
  default: 'reject',
};

function peerOf(line: string): PeerSpec {
  const [name = '', ip = '', peerAs = '', kind = ''] = line.split(/\s+/);
  return {
    name,
    address: parseIp(ip),
    port: 179,
    as: Number(peerAs),
    passive: true,
    holdTimeSec: 240,
    connectRetrySec: 60,
    families: [4],
    nextHopSelf: {},
    gracefulRestart: false,
    import: POLICY,
    export: POLICY,
    label: 'configured',
    ...(kind === 'client' ? { routeReflectorClient: true } : {}),
  };
}

async function start(): Promise<void> {
  const toLog = (message: string, fields: unknown): void => {
    process.stdout.write(`${message} ${JSON.stringify(fields)}\n`);
  };
  const config = {
    as,
    routerId: address,
    listen: [{ address, port: 179 }],
    gracefulRestart: { restartTimeSec: 120, restarting: false },
    addresses: [address],
  };
  const speaker = await startSpeakerThread(config, { debug() {}, info: toLog, warn: toLog, error: toLog });
  speaker.onBestPaths(() => {});
  speaker.onFatal((error) => {
    process.stdout.write(`${error.stack ?? error.message}\n`);
    process.exit(1);
  });
  const lines = readFileSync(process.env['BB_PEERS'] ?? '', 'utf8').split('\n');
  speaker.setPeers(lines.filter((line) => line !== '').map(peerOf));
  speaker.setOriginated([]);
  createServer((socket) => {
    void speaker.peers().then((peers) => {
      socket.end(String(peers.reduce((sum, { accepted }) => sum + accepted, 0)));
    });
  }).listen(control);
  process.on('SIGTERM', () => {
    void speaker.stop('restart').then(() => process.exit(0));
  });
  await speaker.start();
}

function count(): void {
  connect(control).pipe(process.stdout);
}

switch (process.argv[2] ?? '') {
  case 'version':
    process.stdout.write(`manx on node ${process.version}\n`);
    break;
  case 'config':
    break;
  case 'start':
    await start();
    break;
  case 'count':
    count();
    break;
  default:
    process.stderr.write('usage: bgp-target.ts version | config | start | count\n');
    process.exitCode = 64;
}
