// What each part's live state looks like as metrics and checks: one reader per metric, called at scrape.
import type { Health, Metrics } from '#observe';
import type { Cluster } from './cluster.ts';
import { findingKinds } from './collect.ts';
import type { CollectLoop } from './collect-loop.ts';
import type { Election } from './election.ts';
import type { PoolKeeper } from './pool-keeper.ts';

export interface TelemetryParts {
  readonly version: string;
  readonly health: Health;
  readonly cluster: Cluster;
  readonly election: Election;
  readonly collector: CollectLoop;
  readonly pools: PoolKeeper;
}

/** Every readiness check there is. A controller that does not lead is ready: it can take over. */
export const checkNames = ['api', 'lease'] as const;

export function claimChecks({ health, cluster, election }: TelemetryParts): void {
  health.claim('api', () => cluster.fault());
  health.note('api', () => cluster.note());
  health.claim('lease', () => (election.holder() === undefined ? (election.fault() ?? 'no answer yet') : undefined));
  health.note('lease', () => election.fault());
}

export function collectMetrics(metrics: Metrics, parts: TelemetryParts): void {
  const { version, health, cluster, election, collector, pools } = parts;
  metrics.collect('manx_build_info', () => [{ labels: { version, node_version: process.version }, value: 1 }]);
  metrics.collect('manx_ready', () =>
    health.checks().map(({ name, fault }) => ({ labels: { check: name }, value: fault === undefined ? 1 : 0 })),
  );
  metrics.collect('manx_controller_leader', () => [{ labels: {}, value: election.leads() ? 1 : 0 }]);
  metrics.collect('manx_ipam_gc_candidates', () =>
    findingKinds.map((kind) => ({ labels: { kind }, value: collector.status().suspected[kind] })),
  );
  metrics.collect('manx_ipam_gc_reclaimed_total', () =>
    findingKinds.map((kind) => ({ labels: { kind }, value: collector.status().reclaimed[kind] })),
  );
  metrics.collect('manx_ipam_gc_errors_total', () => [{ labels: {}, value: collector.status().errors }]);
  metrics.collect('manx_loop_errors_total', () => [
    { labels: { loop: 'collector' }, value: collector.failures() },
    { labels: { loop: 'pools' }, value: pools.failures() },
  ]);
  metrics.collect('manx_config_invalid_objects', () =>
    cluster.kinds().map(({ kind, invalid }) => ({ labels: { kind }, value: invalid.length })),
  );
  metrics.collect('manx_api_in_sync', () =>
    cluster
      .kinds()
      .map(({ kind, inSync, fault }) => ({ labels: { kind }, value: inSync && fault === undefined ? 1 : 0 })),
  );
}

/** Everything, for /debug/state. */
export function readDebugState({ version, health, cluster, election, collector }: TelemetryParts): unknown {
  return {
    version,
    checks: health.checks(),
    election: { leads: election.leads(), holder: election.holder(), fault: election.fault() },
    cluster: { inSync: cluster.inSync, kinds: cluster.kinds() },
    collector: collector.status(),
  };
}
