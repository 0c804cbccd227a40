// The controller: one that leads per cluster. This file is the system diagram: what it does not join is not joined.
//
//   Kubernetes API ── cluster ──┬── collector ── IPAM objects     frees what nobody uses
//          └── election ────────┴── pools ────── IPPools          conditions, counts, finalizers
//
// Forwarding never depends on it: with no controller nothing is freed and conditions grow old. Parts start in this order
// and stop in reverse; the lease is given up after the loops have stopped. Exit codes: README.md.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createKubeClient } from '#kube';
import { createHealth, createLog, createMetrics, createObserveServer, type Log, systemTimers } from '#observe';
import { describeEnd, exitCodes, Life, orFault, version } from '#program';
import { createCluster } from './cluster.ts';
import { createCollectLoop } from './collect-loop.ts';
import { createElection } from './election.ts';
import { defaultTiming } from './lease.ts';
import { createPoolKeeper } from './pool-keeper.ts';
import { readSettings, type Settings } from './settings.ts';
import { checkNames, claimChecks, collectMetrics, readDebugState } from './telemetry.ts';
import type { Tools } from './tools.ts';

type Ending = { readonly kind: 'stop'; readonly reason: string } | { readonly kind: 'fault'; readonly error: unknown };

async function start(settings: Settings, log: Log, life: Life<Ending>): Promise<void> {
  const metrics = createMetrics();
  const health = createHealth(checkNames);
  let state: () => unknown = () => ({ checks: health.checks() });
  const face = createObserveServer({ ...settings.metricsAddress, metrics, health, state: () => state() });
  await orFault(exitCodes.system, () => life.start('face', face));

  const access = { kubeconfig: settings.kubeconfig, environment: process.env, userAgent: `manx-controller/${version}` };
  const client = await orFault(exitCodes.config, () => createKubeClient(access));
  life.onStop('client', () => client.close());

  let wake = (): void => undefined;
  const timers = systemTimers;
  const tools: Tools = { settings, timers, random: Math.random, log, changed: () => wake() };
  const cluster = createCluster({ ...tools, log: log.child('cluster') }, client);
  const election = createElection({
    client,
    lease: { namespace: settings.leaseNamespace, name: settings.leaseName },
    identity: `${hostname()}_${randomUUID()}`,
    timing: defaultTiming,
    timers,
    random: Math.random,
    now: Date.now,
    onChange: () => wake(),
    log: log.child('election'),
  });
  const shared = { client, cluster, election, now: Date.now };
  const collector = createCollectLoop(tools, shared);
  const pools = createPoolKeeper({ ...tools, log: log.child('pools') }, shared);
  const parts = { version, health, cluster, election, collector, pools };
  wake = () => pools.trigger();
  claimChecks(parts);
  collectMetrics(metrics, parts);
  state = () => readDebugState(parts);

  await life.start('cluster', cluster);
  await life.start('election', election);
  await life.start('collector', collector);
  await life.start('pools', pools);
  log.info('controller started', { version, graceMs: settings.graceMs });
}

async function main(): Promise<number> {
  const settings = readSettings(process.env);
  const log = createLog({ level: settings.logLevel });
  const life = new Life<Ending>(log, {
    SIGTERM: { kind: 'stop', reason: 'SIGTERM' },
    SIGINT: { kind: 'stop', reason: 'SIGINT' },
  });
  start(settings, log, life).catch((error: unknown) => life.end({ kind: 'fault', error }));
  const ending = await life.ended();
  if (ending.kind === 'stop') log.info('controller stops', { reason: ending.reason });
  await life.stop();
  if (ending.kind === 'fault') throw ending.error;
  return exitCodes.ok;
}

try {
  process.exitCode = await main();
} catch (error) {
  const { lines, code } = describeEnd(error);
  for (const line of lines) process.stderr.write(`manx-controller: ${line}\n`);
  process.exitCode = code;
}
