/**
 * A speaker as a process of its own, for tests that put one into a network namespace and kill it.
 *
 * Usage: node speaker-process.ts '<JSON: {config, peers, originated}>'. Speaks lines of JSON: events on stdout
 * ({event}), requests on stdin ({id, ask, value}) answered by {id, answer}.
 */
import { createInterface } from 'node:readline';
import {
  type BestPathBatch,
  createSpeaker,
  createTcpTransport,
  type ResetKind,
  type OriginatedRoute,
  type PeerSpec,
  type SpeakerConfig,
} from '#bgp';
import { createSocketPort } from '#libc';
import type { Timers } from '#reconcile';

export interface SpeakerSetup {
  readonly config: SpeakerConfig;
  readonly peers: readonly PeerSpec[];
  /** Absent: setOriginated is left to a request. */
  readonly originated?: readonly OriginatedRoute[];
}

export interface SpeakerRequest {
  readonly id: number;
  readonly ask: 'peers' | 'routes' | 'best' | 'setPeers' | 'setOriginated' | 'reset' | 'stop';
  readonly value?: unknown;
}

const timers: Timers = {
  now: () => performance.now(),
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const setup = JSON.parse(process.argv[2] ?? '{}') as SpeakerSetup;
const log = (level: string) => (message: string, fields: object) => say({ event: 'log', level, message, ...fields });
const speaker = createSpeaker({
  config: setup.config,
  timers,
  random: Math.random,
  transport: createTcpTransport(createSocketPort()),
  log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
});
const best = new Map<string, BestPathBatch['changes'][number]>();
let inSync = false;
speaker.onBestPaths((batch) => {
  inSync = batch.inSync;
  for (const change of batch.changes) {
    if (change.nextHops.length === 0) best.delete(change.prefix);
    else best.set(change.prefix, change);
  }
  say({ event: 'best', atMs: Date.now(), ...batch });
});
await speaker.start();
say({ event: 'listening' });
speaker.setPeers(setup.peers);
if (setup.originated !== undefined) speaker.setOriginated(setup.originated);

async function answer(request: SpeakerRequest): Promise<unknown> {
  switch (request.ask) {
    case 'peers':
      return speaker.peers();
    case 'routes':
      return speaker.routes();
    case 'best':
      return { inSync, routes: Object.fromEntries([...best].map(([prefix, { nextHops }]) => [prefix, nextHops])) };
    case 'setPeers':
      return speaker.setPeers(request.value as readonly PeerSpec[]);
    case 'setOriginated':
      return speaker.setOriginated(request.value as readonly OriginatedRoute[]);
    case 'reset': {
      const { peer, kind } = request.value as { readonly peer: string; readonly kind: ResetKind };
      return speaker.reset(peer, kind);
    }
    case 'stop':
      await speaker.stop(request.value as 'restart' | 'shutdown');
      return setTimeout(() => process.exit(0), 20).hasRef();
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const request = JSON.parse(line) as SpeakerRequest;
    void answer(request).then((value) => say({ id: request.id, answer: value ?? true }));
  })
  .on('close', () => process.exit(0));
