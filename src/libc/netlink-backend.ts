/**
 * The netlink route back end of Felix: a thread of its own that talks rtnetlink by FFI, so that neither the kernel's waits
 * (up to 160 ms where it grows a table) nor 100,000 routes of a dump hold the agent. A thread that dies is started anew
 * with the next request; what it had in hand is unknown then (CHILD_LOST) and read back.
 */
import { endianness } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Refusals, RouteBackend, RouteOwnership } from '#felix';
import { FelixError } from '#felix';
import { loadLibrary } from './library.ts';
import { type NetlinkReply, type NetlinkRequest, packSteps, unpackChanges } from './netlink-protocol.ts';

const isSource = import.meta.url.endsWith('.ts');
const ENTRY = new URL(isSource ? './netlink-worker.ts' : './netlink-worker.js', import.meta.url);

interface Waiting {
  readonly resolve: (reply: NetlinkReply) => void;
  readonly reject: (error: Error) => void;
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Opens it · resolves with the reason where it cannot be had here. */
export async function openNetlinkBackend(
  ownership: RouteOwnership,
): Promise<RouteBackend | { readonly reason: string }> {
  if (endianness() !== 'LE') return { reason: 'this machine is big-endian, expected little-endian' };
  const loaded = loadLibrary();
  if (!loaded.ok) return { reason: loaded.reason };
  const thread = new NetlinkThread(ownership);
  const reason = await thread.start();
  if (reason === undefined) return createBackend(thread);
  thread.stop();
  return { reason };
}

function createBackend(thread: NetlinkThread): RouteBackend {
  const refusals = async (request: WithoutId<NetlinkRequest>): Promise<Refusals> => {
    const reply = await thread.ask(request);
    return reply.kind === 'refusals' ? reply.refusals : new Map();
  };
  const read = async (isFresh: boolean) => {
    const reply = await thread.ask({ kind: 'read', isFresh });
    if (reply.kind !== 'reading')
      throw new FelixError('CHILD_LOST', `netlink thread answered ${reply.kind} to a reading`);
    const { changes, strays, foreign, nexthops } = reply;
    return { changes: unpackChanges(changes), strays, foreign, nexthops };
  };
  return {
    name: 'netlink',
    read: (known) => read(known === undefined),
    // The thread compares the whole table with what it knows in less time than iproute2 needs for one route.
    recheck: async () => (await read(false)).changes,
    applyRoutes: (steps) => refusals({ kind: 'routes', steps: packSteps(steps) }),
    applyNexthops: (steps) => refusals({ kind: 'nexthops', steps }),
    forget: () => undefined,
    stop: () => thread.stop(),
    get respawns() {
      return thread.respawns;
    },
  };
}

class NetlinkThread {
  readonly #ownership: RouteOwnership;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 1;
  #stopped = false;
  respawns = 0;

  constructor(ownership: RouteOwnership) {
    this.#ownership = ownership;
  }

  /** Resolves when the socket is open, or with why it is not. */
  async start(): Promise<string | undefined> {
    const worker = new Worker(ENTRY, { workerData: { ownership: this.#ownership }, name: 'netlink' });
    this.#worker = worker;
    worker.on('message', (reply: NetlinkReply) => this.#receive(reply));
    worker.on('error', (error) => this.#die(worker, error instanceof Error ? error.message : String(error)));
    worker.on('exit', (code) => this.#die(worker, `it ended with code ${code}`));
    const reply = await new Promise<NetlinkReply>((resolve, reject) => this.#waiting.set(0, { resolve, reject })).catch(
      (error: Error): NetlinkReply => ({ id: 0, kind: 'ready', reason: error.message }),
    );
    return reply.kind === 'ready' ? reply.reason : undefined;
  }

  async ask(request: WithoutId<NetlinkRequest>): Promise<NetlinkReply> {
    if (this.#stopped) throw new FelixError('STOPPED', 'the netlink thread was stopped');
    if (this.#worker === undefined) {
      this.respawns += 1;
      const reason = await this.start();
      if (reason !== undefined) throw new FelixError('CHILD_LOST', `netlink thread cannot be started again: ${reason}`);
    }
    const id = this.#nextId++;
    const reply = await new Promise<NetlinkReply>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.#worker?.postMessage({ ...request, id });
    });
    if (reply.kind === 'failure') throw new FelixError('CHILD_LOST', reply.message);
    return reply;
  }

  stop(): void {
    this.#stopped = true;
    const worker = this.#worker;
    if (worker !== undefined) {
      this.#die(worker, 'it was stopped');
      void worker.terminate();
    }
  }

  #receive(reply: NetlinkReply): void {
    this.#waiting.get(reply.id)?.resolve(reply);
    this.#waiting.delete(reply.id);
  }

  #die(worker: Worker, how: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const error = new FelixError('CHILD_LOST', `netlink thread lost, what it had in hand is unknown: ${how}`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
