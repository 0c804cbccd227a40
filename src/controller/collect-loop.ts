// The loop around the collector: look regularly, act only while leading, in bounded steps.
//
// It is not woken by changes: what is unused now has to stay so for the whole grace period anyway, and looking at 150,000
// addresses for every pod that starts would be work for nothing.
import { createIpamStore, type KubeClient } from '#kube';
import { formatError } from '#observe';
import { Worker } from '#reconcile';
import { type Cluster, createFreshReader } from './cluster.ts';
import { Collector, type CollectorStatus } from './collector.ts';
import type { Election } from './election.ts';
import type { Tools } from './tools.ts';

/** Findings per step, and the least time between two steps: at most 100 pods are looked up in a second. */
const batch = 100;
const minGapMs = 1_000;
/** A round costs a look at everything known; the grace period is kept to a tenth. */
const longestRoundMs = 60_000;

export interface CollectLoop {
  start(): void;
  stop(): Promise<void>;
  trigger(): void;
  status(): CollectorStatus;
  /** Runs of the loop that failed. */
  failures(): number;
}

export interface CollectParts {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly election: Election;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}

export function createCollectLoop(tools: Tools, { client, cluster, election, now }: CollectParts): CollectLoop {
  const { timers, random, settings } = tools;
  const log = tools.log.child('collector');
  const collector = new Collector({
    store: createIpamStore(client),
    fresh: createFreshReader(client),
    snapshot: () => cluster.snapshot(),
    cooldownSeconds: () => cluster.cooldownSeconds(),
    graceMs: settings.graceMs,
    batch,
    timers,
    now,
    log,
  });
  const worker = new Worker({
    name: 'collector',
    timers,
    random,
    minGapMs: Math.min(minGapMs, settings.graceMs / 10),
    resyncMs: Math.min(longestRoundMs, settings.graceMs / 10),
    async run(stop) {
      const term = election.term();
      if (term === undefined) {
        collector.observe();
        return;
      }
      try {
        const more = await collector.run(election.guard, AbortSignal.any([stop, term]));
        if (more) worker.trigger();
      } catch (error) {
        if (!term.aborted) throw error;
      }
    },
    onError(error, attempt) {
      if (attempt === 1) log.warn('nothing can be collected now', { reason: formatError(error) });
    },
  });
  return {
    start: () => worker.start(),
    stop: () => worker.stop(),
    trigger: () => worker.trigger(),
    status: () => collector.status(),
    failures: () => worker.status().failures,
  };
}
