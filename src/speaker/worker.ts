/**
 * The speaker's thread: a Speaker at one end, the agent's messages at the other (see protocol.ts).
 *
 * It has no logic of its own. Whatever is thrown here ends the thread, which the client reports; the kernel's routes
 * and the peers' graceful restart cover the time until the agent has started again.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import {
  createSpeaker,
  createTcpTransport,
  type Speaker,
  type SpeakerConfig,
  SpeakerError,
  type SpeakerLog,
} from '#bgp';
import { createSocketPort } from '#libc';
import type { SpeakerReport, SpeakerRequest } from './protocol.ts';
import { threadTimers } from './timers.ts';
import { warmUp } from './warm-up.ts';

/** Changes per batch: large enough to be cheap, small enough that unpacking one does not hold up the main thread. */
const BATCH_LIMIT = 4096;

function serve(port: MessagePort, config: SpeakerConfig): void {
  const report = (message: SpeakerReport): void => port.postMessage(message);
  const speaker = createSpeaker({
    config,
    timers: threadTimers,
    random: Math.random,
    log: remoteLog(report),
    transport: createTcpTransport(createSocketPort()),
  });
  let underWay = false;

  const sendNext = (): void => {
    const batch = underWay ? undefined : speaker.takeBestPaths(BATCH_LIMIT);
    if (batch === undefined) return;
    underWay = true;
    const { prefixes, setOf, isEbgp } = batch;
    const report: SpeakerReport = { kind: 'best-paths', batch };
    port.postMessage(report, [
      prefixes.buffer as ArrayBuffer,
      setOf.buffer as ArrayBuffer,
      isEbgp.buffer as ArrayBuffer,
    ]);
  };

  speaker.onBestPathsReady(sendNext);
  speaker.onPeerChange((change) => report({ kind: 'peer-change', change }));
  port.on('message', (request: SpeakerRequest) => {
    switch (request.kind) {
      case 'batch-taken':
        underWay = false;
        sendNext();
        return;
      case 'set-peers':
        speaker.setPeers(request.peers);
        return;
      case 'peer-gone':
        speaker.peerGone(request.peer);
        return;
      case 'set-originated':
        speaker.setOriginated(request.routes);
        return;
      case 'reset':
      case 'start':
      case 'stop':
      case 'peers':
      case 'routes':
        void answer(speaker, request).then(report);
    }
  });
}

type Question = Extract<SpeakerRequest, { readonly id: number }>;

async function answer(speaker: Speaker, request: Question): Promise<SpeakerReport> {
  const { id } = request;
  try {
    return { kind: 'reply', id, value: await ask(speaker, request) };
  } catch (error) {
    const code = error instanceof SpeakerError ? error.code : undefined;
    return { kind: 'refused', id, code, message: error instanceof Error ? error.message : String(error) };
  }
}

function ask(speaker: Speaker, request: Question): Promise<unknown> {
  switch (request.kind) {
    case 'start':
      void warmUp(threadTimers);
      return speaker.start();
    case 'stop':
      return speaker.stop(request.mode);
    case 'reset':
      return speaker.reset(request.peer, request.how);
    case 'peers':
      return speaker.peers();
    case 'routes':
      return speaker.routes();
  }
}

function remoteLog(report: (message: SpeakerReport) => void): SpeakerLog {
  const at =
    (level: keyof SpeakerLog): SpeakerLog['info'] =>
    (message, fields) =>
      report({ kind: 'log', level, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

if (parentPort === null) throw new Error('worker.ts runs as a worker thread only');
serve(parentPort, workerData as SpeakerConfig);
