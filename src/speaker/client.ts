/**
 * The agent's side of the speaker thread: the same Speaker interface, carried by messages.
 *
 * The thread is started here and never restarted: if it dies, onFatal says so once, every question fails, and the
 * program decides. What was not delivered by then is lost with it, which the next start makes good.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  type BestPathBatch,
  type OriginatedRoute,
  type PeerChange,
  type PeerSpec,
  type PeerStatus,
  type ResetKind,
  type RouteView,
  type Speaker,
  type SpeakerConfig,
  SpeakerError,
  type SpeakerLog,
  unpackBestPaths,
} from '#bgp';
import type { SpeakerReport, SpeakerRequest } from './protocol.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
/** A thread that does not answer to stop is ended after this long. */
const STOP_MS = 2_000;
/** Loading a table makes garbage of what lives for a tick; a nursery that holds a tick copies none of it. */
const YOUNG_MB = 24;

/** Starts the thread; resolves when it runs. The speaker in it does nothing until start(). */
export async function startSpeakerThread(config: SpeakerConfig, log: SpeakerLog): Promise<Speaker> {
  const worker = new Worker(ENTRY, {
    workerData: config,
    name: 'speaker',
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
  const client = new SpeakerClient(worker, log);
  await once(worker, 'online');
  return client;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

class SpeakerClient implements Speaker {
  readonly #worker: Worker;
  readonly #log: SpeakerLog;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #stopping = false;
  #dead: Error | undefined;
  #bestPaths: (batch: BestPathBatch) => void = () => {};
  #peerChange: (change: PeerChange) => void = () => {};
  #fatal: (error: Error) => void = () => {};

  constructor(worker: Worker, log: SpeakerLog) {
    this.#worker = worker;
    this.#log = log;
    worker.on('message', (report: SpeakerReport) => this.#receive(report));
    worker.on('error', (error) =>
      this.#die(new Error(`speaker thread crashed: ${messageOf(error)}`, { cause: error })),
    );
    worker.on('exit', (code) => this.#die(new Error(`speaker thread ended with code ${code}`)));
  }

  async start(): Promise<void> {
    await this.#ask({ kind: 'start', id: this.#nextId });
  }

  async stop(mode: 'restart' | 'shutdown'): Promise<void> {
    if (this.#stopping || this.#dead !== undefined) return;
    this.#stopping = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timeout = setTimeout(resolve, STOP_MS);
    await Promise.race([this.#ask({ kind: 'stop', id: this.#nextId, mode }), promise]);
    clearTimeout(timeout);
    await this.#worker.terminate();
  }

  setPeers(peers: readonly PeerSpec[]): void {
    this.#send({ kind: 'set-peers', peers });
  }

  async reset(peer: string, how: ResetKind): Promise<boolean> {
    return (await this.#ask({ kind: 'reset', id: this.#nextId, peer, how })) as boolean;
  }

  peerGone(peer: string): void {
    this.#send({ kind: 'peer-gone', peer });
  }

  setOriginated(routes: readonly OriginatedRoute[]): void {
    this.#send({ kind: 'set-originated', routes });
  }

  async peers(): Promise<readonly PeerStatus[]> {
    return (await this.#ask({ kind: 'peers', id: this.#nextId })) as readonly PeerStatus[];
  }

  async routes(): Promise<readonly RouteView[]> {
    return (await this.#ask({ kind: 'routes', id: this.#nextId })) as readonly RouteView[];
  }

  onBestPaths(listener: (batch: BestPathBatch) => void): void {
    this.#bestPaths = listener;
  }

  onPeerChange(listener: (change: PeerChange) => void): void {
    this.#peerChange = listener;
  }

  onFatal(listener: (error: Error) => void): void {
    this.#fatal = listener;
    if (this.#dead !== undefined && !this.#stopping) listener(this.#dead);
  }

  #send(request: SpeakerRequest): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    if (this.#dead === undefined) this.#worker.postMessage(request);
  }

  #ask(request: Extract<SpeakerRequest, { readonly id: number }>): Promise<unknown> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(request.id, { resolve, reject });
    this.#nextId += 1;
    this.#send(request);
    return promise;
  }

  #receive(report: SpeakerReport): void {
    switch (report.kind) {
      case 'reply':
        this.#take(report.id)?.resolve(report.value);
        return;
      case 'refused': {
        const { id, code, message } = report;
        this.#take(id)?.reject(code === undefined ? new Error(message) : new SpeakerError(code, message));
        return;
      }
      case 'best-paths':
        if (!this.#stopping) this.#bestPaths(unpackBestPaths(report.batch));
        this.#send({ kind: 'batch-taken' });
        return;
      case 'peer-change':
        this.#peerChange(report.change);
        return;
      case 'log':
        this.#log[report.level](report.message, report.fields);
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  /** Once: the error comes before the exit and says more. */
  #die(error: Error): void {
    if (this.#dead !== undefined) return;
    this.#dead = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    if (!this.#stopping) this.#fatal(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
