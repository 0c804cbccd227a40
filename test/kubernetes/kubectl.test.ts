/**
 * Replays recorded kubectl commands with the real kubectl on the embedded server: exit code, stdout and stderr must be
 * those of the real kube-apiserver, but for ages, uids, revisions, times and the order of validation errors.
 */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { callApi } from './api-call.ts';
import { type Json, readRecording, type Step } from './recording.ts';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from './server-process.ts';

const objects = fileURLToPath(new URL('../fixtures/kubernetes-api/objects', import.meta.url));
const pools = '/apis/manx.network/v1/ippools';
const mergePatch = { 'Content-Type': 'application/merge-patch+json' };

interface Scene {
  readonly server: ServerProcess;
  readonly folder: string;
}
const running = new AsyncLocalStorage<Scene>();

function scene(): Scene {
  const found = running.getStore();
  if (found === undefined) throw new Error('no scene is running');
  return found;
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Json> {
  return await callApi(scene().server.url, { method, path, body, headers });
}

const merge = async (path: string, patch: unknown): Promise<Json> => call('PATCH', path, patch, mergePatch);
const pool = async (name: string, metadata: object = {}, spec: object = { cidr: '10.1.0.0/16' }): Promise<Json> =>
  call('POST', pools, { apiVersion: 'manx.network/v1', kind: 'IPPool', metadata: { name, ...metadata }, spec });
const sleep = async (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

const status = {
  allocated: 3,
  observedGeneration: 1,
  conditions: [
    { type: 'Ready', status: 'True', reason: 'Synced', message: 'ok', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ],
};
const poolA = async (): Promise<unknown> => pool('pool-a', { labels: { tier: 'front' } }, { cidr: '10.10.0.0/16' });
const poolB = async (): Promise<unknown> =>
  pool('pool-b', { labels: { tier: 'back' } }, { cidr: '10.20.0.0/16', natOutgoing: true, disabled: true });
const node = async (): Promise<unknown> =>
  call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' } });

/** pool-a, Ready, and pool-b: what most recordings begin with. */
async function twoPools(): Promise<void> {
  await poolA();
  await poolB();
  await merge(`${pools}/pool-a/status`, { status });
}

interface Replay {
  readonly name: string;
  readonly scene: () => Promise<unknown>;
  readonly before?: Readonly<Record<number, () => Promise<unknown>>>;
  /** What happens while a command in the background runs. */
  readonly during?: Readonly<Record<number, () => Promise<unknown>>>;
  readonly leftOut?: Readonly<Record<number, string>>;
}

const strategic = 'strategic merge patch is answered 415';
const serverSide = 'server-side apply is answered 415';

const replays: readonly Replay[] = [
  { name: 'api-resources', scene: async () => undefined },
  { name: 'empty-list', scene: async () => undefined },
  { name: 'create', scene: async () => undefined },
  { name: 'get-table', scene: twoPools },
  { name: 'get-one', scene: twoPools },
  { name: 'get-yaml-json', scene: twoPools, leftOut: { 6: 'managedFields are not kept' } },
  { name: 'get-selectors', scene: twoPools },
  {
    name: 'get-watch',
    scene: twoPools,
    during: {
      0: async () => {
        await pool('pool-w');
        await merge(`${pools}/pool-w`, { spec: { natOutgoing: true } });
        await merge(`${pools}/pool-w`, { metadata: { labels: { a: 'b' } } });
        await call('DELETE', `${pools}/pool-w`);
      },
    },
  },
  {
    name: 'get-watch-only',
    scene: twoPools,
    during: {
      0: async () => {
        await pool('pool-w');
        await call('DELETE', `${pools}/pool-w`);
      },
      2: async () => {
        await merge(`${pools}/pool-b`, { metadata: { labels: { tier: 'front' } } });
        await merge(`${pools}/pool-b`, { metadata: { labels: { tier: 'back' } } });
      },
    },
    leftOut: { 1: 'its changes are not described in the recording' },
  },
  {
    name: 'label-annotate',
    scene: async () => {
      await twoPools();
      await pool('pool-s');
      await node();
    },
  },
  { name: 'patch', scene: async () => Promise.all([twoPools(), node()]), leftOut: { 7: strategic, 8: strategic } },
  {
    name: 'replace',
    scene: poolB,
    leftOut: {
      0: 'holds revisions of the recording',
      1: 'holds uids of the recording',
      2: 'holds uids of the recording',
      4: 'holds uids of the recording',
    },
  },
  { name: 'apply', scene: poolB },
  {
    name: 'apply-invalid',
    scene: async () => undefined,
    before: { 8: poolA },
    leftOut: { 8: 'kubectl first warns of the missing annotation of this scene', 10: serverSide, 11: serverSide },
  },
  { name: 'edit', scene: async () => poolA() },
  {
    name: 'describe',
    scene: async () => poolA(),
    leftOut: { 0: 'its events are not in this scene', 1: 'its events are not in this scene' },
  },
  {
    name: 'wait',
    scene: async () => pool('pool-w'),
    during: {
      0: async () => merge(`${pools}/pool-w/status`, { status }),
      4: async () => call('DELETE', `${pools}/pool-w`),
    },
  },
  {
    name: 'delete',
    scene: async () => {
      for (const name of ['d1', 'd2', 'd3']) await pool(name);
      for (const name of ['d4', 'd5']) await pool(name, { labels: { del: 'yes' } });
    },
  },
  { name: 'delete-finalizer', scene: async () => pool('fin', { finalizers: ['manx.network/hold'] }) },
  { name: 'unknown-kind', scene: async () => undefined },
  { name: 'scale', scene: async () => poolA() },
  { name: 'explain', scene: async () => undefined },
  { name: 'block-no-status', scene: async () => undefined },
  {
    name: 'builtins',
    scene: async () => {
      await call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
      await merge('/api/v1/nodes/n1/status', { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] } });
    },
    leftOut: {
      7: 'a real cluster has two namespaces more',
      8: 'a real cluster has two namespaces more',
      16: strategic,
      17: 'follows the strategic merge',
    },
  },
  {
    name: 'builtins-delete',
    scene: async () => {
      await node();
      await call('POST', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'team-a', labels: { team: 'a' } },
      });
      const spec = {
        nodeName: 'node-a',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', image: 'example' }],
      };
      await call('POST', '/api/v1/namespaces/default/pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'pod-a' },
        spec,
      });
    },
    leftOut: {
      2: 'a namespace goes, as with a controller manager',
      3: 'kubectl sends protobuf',
      4: 'kubectl sends protobuf',
    },
  },
];

function kubectlVersion(): string | undefined {
  try {
    return execFileSync('kubectl', ['version', '--client', '--output=json'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return undefined;
  }
}

const skip = kubectlVersion() === undefined ? 'left out: kubectl not installed' : false;

describe('recorded kubectl commands', { skip, concurrency: 4 }, () => {
  for (const replay of replays) {
    test(`${replay.name} prints what it printed with a real API server`, async () => {
      const folder = await makeDataDir();
      await cp(objects, folder, { recursive: true });
      const server = await startServer({ dataDir: folder });
      await writeKubeconfig(folder, server.url);
      try {
        await running.run({ server, folder }, async () => await replayCommands(replay));
      } finally {
        await server.stop();
        await removeDataDir(folder);
      }
    });
  }
});

async function writeKubeconfig(folder: string, url: string): Promise<void> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [{ name: 'lab', cluster: { server: url } }],
    users: [{ name: 'lab', user: {} }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
  };
  await mkdir(join(folder, 'home'), { recursive: true });
  await writeFile(join(folder, 'kubeconfig'), JSON.stringify(config));
}

interface Printed {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function replayCommands(replay: Replay): Promise<void> {
  const recording = await readRecording(`kubectl/${replay.name}`);
  await replay.scene();
  const background: Promise<void>[] = [];
  for (const [index, step] of recording.steps.entries()) {
    await replay.before?.[index]?.();
    if (step.command === undefined || replay.leftOut?.[index] !== undefined) continue;
    const label = `step ${index}: ${step.command}`;
    if (!step.command.includes('# in the background')) {
      check(label, step, await run(step));
      continue;
    }
    const child = start(step, 'tells its requests');
    const printed = collect(child);
    await watchOpened(child);
    await replay.during?.[index]?.();
    if (step.note === 'stopped with SIGINT') {
      await sleep(400);
      child.kill('SIGINT');
      check(label, { ...step, exit: -1 }, { ...(await printed), exit: -1 });
    } else {
      background.push(printed.then((result) => check(label, step, result)));
    }
    if (replay.name === 'wait') await Promise.all(background);
  }
  await Promise.all(background);
}

/** Resolves when kubectl has its watch open: only then may happen what it is to see. At -v=6 it tells each answer. */
async function watchOpened(child: ChildProcess): Promise<void> {
  let told = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  child.stderr?.on('data', (chunk: Buffer) => {
    told += chunk.toString();
    if (/watch=true\S* 200 OK/.test(told)) resolve();
  });
  child.once('close', () => resolve());
  await promise;
}

function start(step: Step, verbosity?: 'tells its requests'): ChildProcess {
  const { folder } = scene();
  const plain = (step.command ?? '').replace('# in the background', '').trim();
  const command = verbosity === undefined ? plain : `${plain} -v=6`;
  const child = spawn('sh', ['-c', `exec ${command}`], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: join(folder, 'home'),
      KUBECONFIG: join(folder, 'kubeconfig'),
      TMPDIR: folder,
      ...step.env,
    },
  });
  child.stdin.end(step.stdin ?? '');
  return child;
}

async function run(step: Step): Promise<Printed> {
  return await collect(start(step));
}

async function collect(child: ChildProcess): Promise<Printed> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const [code] = await once(child, 'close');
  return {
    exit: Number(code ?? -1),
    stdout: Buffer.concat(out).toString(),
    stderr: withoutTrace(Buffer.concat(err).toString()),
  };
}

/** Without the lines that -v=6 adds (klog: severity, month and day). */
function withoutTrace(stderr: string): string {
  return stderr.replaceAll(/^I\d{4} .*\n/gm, '');
}

function check(label: string, recorded: Step, printed: Printed): void {
  const plain = ({ exit, stdout, stderr }: { exit?: number; stdout?: string; stderr?: string }): object => ({
    exit,
    stdout: normalise(stdout ?? ''),
    stderr: normalise(stderr ?? ''),
  });
  assert.deepEqual(plain(printed), plain(recorded), label);
}

/** What differs between two runs of one command on one server, taken out. */
function normalise(text: string): string {
  const plain = text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
    .replaceAll(/(resourceVersion"?: )"\d+"/g, '$1"N"')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/kubectl-edit-\d+/g, 'kubectl-edit-N')
    .replaceAll(/"[^"]*(kubectl-edit-N)/g, '"$1')
    .replaceAll(', application/apply-patch+yaml', '')
    .replaceAll(/(?<=\s)\d+[smhd](\d+[smhd])?(?=\s|$)/gm, 'AGE')
    .replaceAll(/ {2,}/g, ' ')
    .replaceAll(/ +$/gm, '');
  const lines = plain.split('\n');
  const causes = lines.filter((line) => line.startsWith('* ')).sort();
  return [...lines.filter((line) => !line.startsWith('* ')), ...causes].join('\n');
}
