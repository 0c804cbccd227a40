// The agent: one process per node. This file is the system diagram: what it does not join is not joined.
//
//   Kubernetes API ── cluster ── ipam ──────────────┐            ┌── speaker (thread) ── peers
//                        └──────────────────────────┼─ control ──┤        └─ best paths ─┐
//   runtime ── plugin ── cni ── workloads ──────────┘            └── felix ──────────────┴── kernel
//
// Parts start in this order and stop in reverse. Stopping changes nothing in the kernel; SIGTERM closes sessions without a
// word, so that peers keep our routes; SIGUSR2 withdraws first. Exit codes: README.md.
import { join } from 'node:path';
import { createKubeClient } from '#kube';
import { createLog, systemTimers, type Log } from '#observe';
import { describeEnd, exitCodes, Life, orFault, requireRoot, version } from '#program';
import { createCluster } from './cluster.ts';
import { createCni } from './cni.ts';
import { createControl } from './control.ts';
import { claimChecks, readDebugState } from './diagnosis.ts';
import { createFace } from './face.ts';
import { startFelix } from './felix.ts';
import { awaitIdentity } from './identity-wait.ts';
import { createIpam } from './ipam-loop.ts';
import { createReports } from './reports.ts';
import { readSettings, type Settings } from './settings.ts';
import { openSnapshotFile } from './snapshot.ts';
import { startSpeaker } from './speaker.ts';
import { collectMetrics } from './telemetry.ts';
import { createHub, type Tools, type AgentLife, type Ending } from './tools.ts';
import { openWorkloads } from './workloads.ts';

const startedAt = new Date().toISOString();

/** Starts everything; returns when it runs, or early when life ended while we waited to learn who we are. */
async function start(settings: Settings, log: Log, life: AgentLife): Promise<void> {
  const hub = createHub();
  const tools: Tools = { settings, timers: systemTimers, random: Math.random, log, changed: hub.changed };
  const face = createFace(settings);
  await life.start('face', face);

  const { kubeconfig, stateDir } = settings;
  const access = { kubeconfig, environment: process.env, userAgent: `manx-agent/${version}` };
  const client = await orFault(exitCodes.config, () => createKubeClient(access));
  life.onStop('client', () => client.close());
  const felix = await startFelix(tools, life);
  const workloads = await orFault(exitCodes.system, () => openWorkloads(tools, join(stateDir, 'workloads')));
  const snapshot = await orFault(exitCodes.system, () => openSnapshotFile(stateDir, log));

  const cluster = createCluster(tools, { client, snapshot: snapshot.last?.view });
  face.health.claim('api', () => cluster.fault());
  face.health.note('api', () => cluster.note());
  await life.start('cluster', cluster);
  const identity = await awaitIdentity(tools, { cluster, health: face.health, signal: life.signal });
  if (identity === undefined) return;

  const restarting = felix.hasOwnState();
  const lastBlocks = snapshot.last?.blocks ?? [];
  const ipam = createIpam(tools, { client, cluster, identity });
  const speaker = await startSpeaker(tools, life, { identity, restarting });
  const control = createControl(tools, { identity, cluster, ipam, felix, speaker, workloads, lastBlocks });
  const cni = createCni(tools, { ...face, client, cluster, identity, ipam, felix, workloads, control });
  const parts = {
    version,
    startedAt,
    identity,
    health: face.health,
    cluster,
    ipam,
    felix,
    speaker,
    control,
    workloads,
    cni,
  };
  const reports = createReports(tools, client, { parts, snapshot });

  speaker.onBestPaths((batch) => felix.applyLearned(batch));
  control.onIdentityChange((what) => life.end({ kind: 'restart', reason: `identity changed: ${what}` }));
  for (const loop of [control, ipam, cni, reports]) hub.add(() => loop.trigger());
  control.onRun(() => {
    cni.trigger();
    reports.trigger();
  });
  claimChecks(parts);
  collectMetrics(face.metrics, parts);
  face.show(() => readDebugState(parts));

  await life.start('ipam', ipam);
  await life.start('control', control);
  await life.start('cni', cni);
  await life.start('reports', reports);
  log.info('agent started', { version, addresses: identity.addresses, as: identity.as, restarting });
}

async function main(): Promise<number> {
  const settings = readSettings(process.env);
  requireRoot('the agent changes routes and interfaces');
  const log = createLog({ level: settings.logLevel, base: { node: settings.nodeName } });
  const life = new Life<Ending>(log, {
    SIGTERM: { kind: 'restart', reason: 'SIGTERM' },
    SIGINT: { kind: 'restart', reason: 'SIGINT' },
    SIGUSR2: { kind: 'drain', reason: 'SIGUSR2' },
  });
  start(settings, log, life).catch((error: unknown) => life.end({ kind: 'fault', error }));
  const ending = await life.ended();
  if (ending.kind !== 'fault') log.info('agent stops', { kind: ending.kind, reason: ending.reason });
  await life.stop();
  if (ending.kind === 'fault') throw ending.error;
  return exitCodes.ok;
}

try {
  process.exitCode = await main();
} catch (error) {
  const { lines, code } = describeEnd(error);
  for (const line of lines) process.stderr.write(`manx-agent: ${line}\n`);
  process.exitCode = code;
}
