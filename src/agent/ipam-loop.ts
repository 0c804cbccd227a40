// Keeps the allocator ready: reads this node's blocks back once, then sees that each family has a block with room.
//
// Until the first recovery nothing is assigned and nothing counts as ours; failures are retried for ever, as the API may
// be away. Empty blocks beyond one per family are given back at the slow resync only, never because of a moment's view.
import type { Allocator } from '#ipam';
import type { Family } from '#net';
import { formatError, type Log } from '#observe';
import { Worker, type Timers } from '#reconcile';

export interface IpamLoopOptions {
  readonly allocator: Allocator;
  readonly families: () => readonly Family[];
  /** All pools have been listed. */
  readonly inSync: () => boolean;
  readonly onRecovered: () => void;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
}

export interface IpamLoop {
  start(): void;
  stop(): Promise<void>;
  trigger(): void;
  recovered(): boolean;
  failures(): number;
  /** Why no address can be given out, undefined when one can. */
  fault(): string | undefined;
}

const resyncMs = 300_000;

export function createIpamLoop(options: IpamLoopOptions): IpamLoop {
  const { allocator, log } = options;
  let recovered = false;
  let fault: string | undefined = 'blocks have not been read yet';
  let lastReleaseMs = options.timers.now();
  const worker = new Worker({
    name: 'ipam',
    timers: options.timers,
    random: options.random,
    resyncMs,
    backoff: { baseMs: 200, maxMs: 10_000, jitter: 0.5 },
    async run(signal) {
      if (!recovered) {
        await allocator.recover(signal);
        recovered = true;
        log.info('blocks read back', { blocks: allocator.blocks().map((block) => block.cidr) });
        options.onRecovered();
      }
      if (!options.inSync()) return;
      const families = options.families();
      if (families.length === 0) {
        fault =
          'no IPPool serves this node in a family it has an address of; create one, or check disabled and nodeSelector';
        return;
      }
      await allocator.ensureBlocks(families, signal);
      fault = undefined;
      if (options.timers.now() - lastReleaseMs < resyncMs) return;
      lastReleaseMs = options.timers.now();
      await allocator.releaseEmptyBlocks(signal);
    },
    onError(error, attempt) {
      fault = formatError(error);
      if (attempt === 1) log.warn('blocks are not available', { err: error });
    },
  });
  return {
    start: () => worker.start(),
    stop: () => worker.stop(),
    trigger: () => worker.trigger(),
    recovered: () => recovered,
    failures: () => worker.status().failures,
    fault: () => fault,
  };
}
