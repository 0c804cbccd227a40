// The agent: one process per node. This file is the system diagram: what it does not join is not joined.
//
//   Kubernetes API ── cluster ── ipam (allocator) ──┐            ┌── speaker (thread) ── peers
//                        └──────────────────────────┼─ control ──┤        └─ best paths ─┐
//   runtime ── plugin ── cni server ── workloads ───┘            └── felix ──────────────┴── kernel
//
// Parts start in this order and stop in reverse. Stopping changes nothing in the kernel; SIGTERM closes sessions without a
// word, so that peers keep our routes; SIGUSR2 withdraws first. Exit codes: README.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFelix } from '#felix';
import { createAllocator } from '#ipam';
import { createIpamStore, createKubeClient } from '#kube';
import {
  createHealth,
  createLog,
  createMetrics,
  createObserveServer,
  systemTimers as timers,
  type Log,
} from '#observe';
import { createSpeaker } from '#bgp';
import { createAttachments } from './attachments.ts';
import { createCluster } from './cluster.ts';
import { createCniServer } from './cni-server.ts';
import { createControl } from './control.ts';
import { checkNames, claimChecks, readDebugState, readNodeStatus, servingFault } from './diagnosis.ts';
import { describeEnd, exitCodes, orFault } from './exit.ts';
import { awaitIdentity } from './identity-wait.ts';
import { createInstallLoop } from './install-loop.ts';
import { createIpamLoop } from './ipam-loop.ts';
import { createAddressPublisher, createSnapshotLoop } from './keepers.ts';
import { Life } from './life.ts';
import { createPoolView } from './pools.ts';
import * as ports from './ports.ts';
import { readSettings, type Settings } from './settings.ts';
import { openSnapshotFile } from './snapshot.ts';
import { createStatusWriter } from './status-writer.ts';
import { collectMetrics, counted } from './telemetry.ts';
import { openWorkloads } from './workloads.ts';

const startedAt = new Date().toISOString();
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Starts everything; returns when it runs, or early when life ended while we waited to learn who we are. */
async function start(settings: Settings, log: Log, life: Life): Promise<void> {
  const { nodeName, stateDir, runDir, interfacePrefix, mtu, advertiseWaitMs } = settings;
  const { random } = Math;
  const tools = { timers, random, log };
  const socket = join(runDir, 'cni.sock');
  const onChange = new Set<() => void>();
  const changed = (): void => onChange.forEach((trigger) => trigger());

  const metrics = createMetrics();
  const health = createHealth(checkNames);
  let state: () => unknown = () => ({ version, startedAt, checks: health.checks() });
  const observe = createObserveServer({ ...settings.metricsAddress, metrics, health, state: () => state() });
  const kube = { kubeconfig: settings.kubeconfig, environment: process.env, userAgent: `manx-agent/${version}` };
  const client = await orFault(exitCodes.config, () => createKubeClient(kube));
  life.onStop('api client', () => client.close());
  await orFault(exitCodes.system, () => life.start('observe', observe));

  const felix = createFelix({
    settings: ports.felixSettings(settings),
    log: ports.felixLog(log.child('felix')),
    timers,
    random,
  });
  await ports.startFelix(() => life.start('felix', felix));
  const workloads = await orFault(exitCodes.system, () =>
    openWorkloads({ folder: join(stateDir, 'workloads'), log, onChange: changed }),
  );
  const snapshot = await orFault(exitCodes.system, () => openSnapshotFile({ folder: stateDir, log }));

  const cluster = createCluster({ ...tools, client, snapshot: snapshot.last?.view, health, log: log.child('cluster') });
  await life.start('cluster', cluster);
  const identity = await awaitIdentity({ nodeName, interfacePrefix, cluster, health, log, signal: life.signal });
  if (identity === undefined) return;

  const { pools, families } = createPoolView(cluster, identity);
  const allocator = createAllocator({
    node: nodeName,
    store: createIpamStore(client),
    pools,
    settings: () => ports.ipamSettings(cluster.view()),
    now: Date.now,
    random,
    sleep: ports.sleep,
    log: log.child('ipam'),
  });
  const ipam = createIpamLoop({ ...tools, allocator, families, inSync: () => cluster.inSync, onRecovered: changed });

  const restarting = felix.hasOwnState();
  const speaker = await ports.startSpeaker(() =>
    (async () => {
      const sp = createSpeaker({
        config: ports.speakerConfig(settings, identity, restarting),
        timers,
        random,
        log: ports.speakerLog(log.child('bgp')),
      });
      await sp.start();
      return sp;
    })(),
  );
  life.onStop('speaker', async () => speaker.stop((await life.ended()).kind === 'drain' ? 'shutdown' : 'restart'));
  speaker.onFatal((error) => life.end({ kind: 'fault', error }));
  speaker.onPeerChange(changed);
  speaker.onBestPaths((batch) => felix.applyLearned(batch));

  const control = createControl({
    ...tools,
    identity,
    settings: { interfacePrefix, advertiseWaitMs },
    parts: { cluster, allocator, ipam, felix, speaker, workloads, lastBlocks: snapshot.last?.blocks ?? [] },
    onIdentityChange: (reason) => life.end({ kind: 'restart', reason: `identity changed: ${reason}` }),
  });
  const fault = (): string | undefined => servingFault(health);
  const handle = createAttachments({
    felix,
    allocator,
    workloads,
    interfacePrefix,
    mtu,
    families,
    fault,
    advertised: control.advertised,
    log: log.child('cni'),
  });
  const server = createCniServer({ path: socket, handle: counted(metrics, handle), log: log.child('cni') });
  const installer = createInstallLoop({
    ...tools,
    confDir: settings.cniConfDir,
    binDir: settings.cniBinDir,
    socket,
    ready: () => fault() === undefined,
  });
  const parts = {
    version,
    startedAt,
    identity,
    health,
    cluster,
    ipam,
    allocator,
    felix,
    speaker,
    control,
    workloads,
    installer,
  };
  const status = createStatusWriter({
    ...tools,
    client,
    nodeName,
    intervalMs: settings.statusIntervalMs,
    read: () => readNodeStatus(parts),
  });
  const keeper = createSnapshotLoop({ ...tools, file: snapshot, read: () => control.snapshot() });
  const publisher = createAddressPublisher({ ...tools, client, identity });

  claimChecks(parts);
  collectMetrics(metrics, parts);
  state = () => readDebugState(parts);
  for (const loop of [control, ipam, installer, status, keeper]) onChange.add(() => loop.trigger());
  cluster.onChange(changed);
  control.onRun(() => [installer, status, keeper].forEach((loop) => loop.trigger()));
  await life.start('ipam', ipam);
  await life.start('control', control);
  await life.start('cni server', server);
  for (const loop of [installer, status, keeper, publisher]) await life.start('loop', loop);
  log.info('agent started', { version, addresses: identity.addresses, as: identity.as, restarting });
}

async function main(): Promise<number> {
  const settings = readSettings(process.env);
  ports.requireRoot();
  const log = createLog({ level: settings.logLevel, base: { node: settings.nodeName } });
  const life = new Life(log);
  start(settings, log, life).catch((error: unknown) => life.end({ kind: 'fault', error }));
  const ending = await life.ended();
  log.info('agent stops', {
    kind: ending.kind,
    reason: ending.kind === 'fault' ? describeEnd(ending.error).lines : ending.reason,
  });
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
