/**
 * Replays recorded requests (curl against kube-apiserver 1.36) on the embedded server and compares every answer and
 * every watch event with the recorded one. What is known to differ is listed with its reason; nothing else may.
 */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, test } from 'node:test';
import { callApi } from './api-call.ts';
import { Binding, compareJson, type Exchange, type Json, readRecording, translate } from './recording.ts';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from './server-process.ts';

const pools = '/apis/manx.network/v1/ippools';

/** The server of the replay that is running: each has its own, so that they can run side by side. */
const running = new AsyncLocalStorage<ServerProcess>();

function serverUrl(): string {
  return running.getStore()?.url ?? '';
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Json> {
  return await callApi(serverUrl(), { method, path, body, headers });
}

const patchMerge = { 'Content-Type': 'application/merge-patch+json' };

function pool(index: number): unknown {
  return {
    apiVersion: 'manx.network/v1',
    kind: 'IPPool',
    metadata: { name: `p${index}`, labels: { odd: String(index % 2) } },
    spec: { cidr: `10.${index}.0.0/16` },
  };
}

/** The scene most recordings begin with. */
async function fivePools(): Promise<void> {
  for (let index = 0; index < 5; index += 1) await call('POST', pools, pool(index));
}

/** Ties a recorded resourceVersion to the present one of this run. */
type Bind = (recorded: string) => Promise<void>;
type Act = (bind: Bind) => Promise<void>;

interface Replay {
  readonly name: string;
  readonly scene: Act;
  /** What the recorder did before a step without recording it. */
  readonly before?: Readonly<Record<number, Act>>;
  /** What it did while a watch in the background ran. */
  readonly during?: Readonly<Record<number, Act>>;
  /** Steps before which the recorder waited for its watches to end. */
  readonly waitBefore?: readonly number[];
  /** Steps left out, by number, with the reason. */
  readonly leftOut?: Readonly<Record<number, string>>;
}

const merge = async (path: string, patch: unknown): Promise<Json> => call('PATCH', path, patch, patchMerge);
const post = async (path: string, kind: string, rest: object): Promise<Json> =>
  call('POST', path, {
    apiVersion: path.startsWith('/api/') ? 'v1' : path.split('/').slice(2, 4).join('/'),
    kind,
    ...rest,
  });
const createPool = async (name: string, metadata: object = {}): Promise<Json> =>
  post(pools, 'IPPool', { metadata: { name, ...metadata }, spec: { cidr: '10.1.0.0/16' } });
const labelP0 = async (labels: Record<string, string>): Promise<Json> => merge(`${pools}/p0`, { metadata: { labels } });
/** A write to another kind: it moves the revision of the store and no pool. */
let others = 0;
const somethingElse = async (): Promise<Json> => {
  others += 1;
  return post('/api/v1/namespaces/default/configmaps', 'ConfigMap', { metadata: { name: `other-${others}` } });
};
const p0Status = {
  allocated: 3,
  observedGeneration: 1,
  conditions: [
    { type: 'Ready', status: 'True', reason: 'Synced', message: 'ok', lastTransitionTime: '2026-01-01T00:00:00Z' },
  ],
};
const goWords = "the words of Go's JSON parser";
const shownObject = 'the message quotes the object with its managedFields';
const doubleFields = 'the recording holds the parsed body, so the duplicate is gone (contract.ts sends one)';

const replays: readonly Replay[] = [
  { name: 'content-types', scene: fivePools, leftOut: { 4: 'the recorded server panics here; 415 is right' } },
  {
    name: 'delete-collection',
    scene: async (bind) => {
      await fivePools();
      await merge(`${pools}/p3`, { metadata: { finalizers: ['a.b/c'] } });
      await bind('1005');
    },
  },
  {
    name: 'delete',
    scene: fivePools,
    before: {
      12: async (bind) => {
        await createPool('p5', { finalizers: ['a.b/c', 'a.b/d'] });
        await bind('1004');
      },
    },
    waitBefore: [18],
    leftOut: { 0: 'the message holds an unbound uid', 1: 'the message holds an unbound revision' },
  },
  { name: 'dry-run', scene: async (bind) => fivePools().then(() => bind('1002')) },
  {
    name: 'errors',
    scene: async () => {
      await fivePools();
      await labelP0({ a: 'b' });
      await merge(`${pools}/p0/status`, { status: p0Status });
    },
    leftOut: {
      26: 'the big body is cut in the recording (contract.ts sends one)',
      27: 'the big body is cut in the recording',
      28: 'the big body is cut in the recording (contract.ts sends one)',
    },
  },
  {
    name: 'field-validation',
    scene: fivePools,
    before: {
      1: async () => void (await call('DELETE', `${pools}/fv`)),
      2: async () => void (await call('DELETE', `${pools}/fv`)),
      5: async () => {
        await call('DELETE', `${pools}/fv`);
        await createPool('fv');
      },
    },
    leftOut: {
      0: doubleFields,
      1: doubleFields,
      3: doubleFields,
      6: shownObject,
      7: shownObject,
      11: 'unknown fields of built-in kinds are kept',
      12: 'a wrong type in a built-in kind is 422 here',
    },
  },
  { name: 'generation', scene: fivePools },
  { name: 'json-patch', scene: fivePools, leftOut: { 8: goWords } },
  {
    name: 'list-chunks',
    scene: fivePools,
    before: { 1: async () => void (await createPool('p9')) },
    leftOut: { 5: goWords },
  },
  {
    name: 'list-resource-version',
    scene: async (bind) => {
      await fivePools();
      await bind('1002');
      await labelP0({ x: '1' });
      await bind('1003');
    },
    leftOut: { 13: 'nothing is compacted in a young store (expired in contract.ts)' },
  },
  {
    name: 'merge-patch',
    scene: fivePools,
    leftOut: { 12: 'no second warning when the apiVersion is wrong', 14: goWords, 19: shownObject },
  },
  { name: 'partial-metadata', scene: fivePools },
  {
    name: 'pod-delete',
    waitBefore: [10],
    scene: async (bind) => bind('1001'),
    leftOut: { 8: 'the message ends with a Go diff of the Pod' },
  },
  {
    name: 'post',
    scene: async () => undefined,
    before: { 6: async () => void (await call('DELETE', `${pools}/y`)) },
    leftOut: { 8: 'CEL on a foreign kind', 9: 'no second warning when the apiVersion is wrong' },
  },
  {
    name: 'put',
    scene: async () => {
      await fivePools();
      await merge(`${pools}/p0`, { spec: { disabled: true } });
      await merge(`${pools}/p0`, { spec: { disabled: false } });
      await post('/api/v1/namespaces/default/configmaps', 'ConfigMap', {
        metadata: { name: 'cput' },
        data: { a: 'c' },
      });
      await post('/apis/coordination.k8s.io/v1/namespaces/default/leases', 'Lease', {
        metadata: { name: 'lease-put' },
        spec: {},
      });
    },
    leftOut: { 9: 'CEL on a foreign kind', 10: 'no second warning when the apiVersion is wrong' },
  },
  {
    name: 'schema',
    scene: async () => void (await createPool('tr')),
    leftOut: { 2: 'JSON.parse cannot tell 26.0 from 26' },
  },
  { name: 'status', scene: fivePools },
  {
    name: 'tables',
    scene: async () => {
      await fivePools();
      await merge(`${pools}/p0/status`, { status: p0Status });
    },
    leftOut: { 11: 'another number of namespaces', 12: 'descriptions of built-in columns are shortened' },
  },
  {
    name: 'watch-bookmarks',
    scene: async (bind) => fivePools().then(() => bind('1001')),
    waitBefore: [1, 3],
    during: { 0: async () => void (await labelP0({ x: '2' })) },
    before: {
      1: async (bind) => somethingElse().then(() => bind('1003')),
      3: async (bind) => somethingElse().then(() => bind('1005')),
    },
    leftOut: { 2: 'the recorded server sends the last bookmark twice' },
  },
  { name: 'watch-formats', scene: fivePools, leftOut: { 4: 'no protobuf, also not in a refusal' } },
  {
    name: 'watch-list',
    scene: fivePools,
    during: { 0: async () => void (await labelP0({ x: '3' })) },
    before: {
      1: async (bind) => somethingElse().then(() => bind('1007')),
      8: async (bind) => somethingElse().then(() => bind('1008')),
    },
  },
  {
    name: 'watch-selectors',
    scene: async (bind) => {
      await fivePools();
      await bind('1005');
      await somethingElse();
      await bind('1006');
    },
    during: {
      1: async () => {
        await labelP0({ odd: '1' });
        await merge(`${pools}/p0`, { spec: { disabled: true } });
        await labelP0({ odd: '0' });
        await merge(`${pools}/p0`, { spec: { disabled: false } });
      },
    },
  },
  {
    name: 'watch-start',
    scene: async (bind) => {
      await fivePools();
      await bind('1005');
      await labelP0({ x: '1' });
      await call('DELETE', `${pools}/p4`);
      await somethingElse();
      await bind('1008');
    },
  },
  { name: 'watch-timeout', scene: async (bind) => fivePools().then(() => bind('1001')) },
];

describe('recorded requests', { concurrency: 6 }, () => {
  for (const replay of replays) {
    test(`${replay.name} is answered as the recorded server did`, async () => {
      const dataDir = await makeDataDir();
      const server = await startServer({ dataDir });
      try {
        const differences = await running.run(server, async () => await replayScenario(replay));
        assert.equal(differences.join('\n'), '');
      } finally {
        await server.stop();
        await removeDataDir(dataDir);
      }
    });
  }
});

async function replayScenario(replay: Replay): Promise<string[]> {
  const binding = new Binding();
  const bind: Bind = async (recorded) => {
    const list = (await call('GET', `${pools}?limit=1`)) as { metadata: { resourceVersion: string } };
    binding.bind(recorded, list.metadata.resourceVersion);
  };
  await replay.scene(bind);
  return await run(replay, binding, bind);
}

async function run(replay: Replay, binding: Binding, bind: Bind): Promise<string[]> {
  const recording = await readRecording(`raw/${replay.name}`);
  const differences: string[] = [];
  const background: Promise<void>[] = [];
  for (const [index, step] of recording.steps.entries()) {
    if (replay.waitBefore?.includes(index) === true) await Promise.all(background);
    await replay.before?.[index]?.(bind);
    if (replay.leftOut?.[index] !== undefined) continue;
    for (const exchange of step.exchanges ?? []) {
      if (outOfScope(exchange) !== undefined) continue;
      const label = `step ${index} ${exchange.request.method} ${exchange.request.path}`;
      const done = exchangeOnce(exchange, binding).then((lines) => {
        differences.push(...lines.map((line) => `${label}: ${line}`));
      });
      if (step.raw?.includes('in the background') === true) {
        background.push(done);
        // The watch must be open before what it is to see happens.
        await new Promise((resolve) => setTimeout(resolve, 60));
      } else await done;
    }
    await replay.during?.[index]?.(bind);
  }
  await Promise.all(background);
  return differences;
}

async function exchangeOnce(exchange: Exchange, binding: Binding): Promise<string[]> {
  const { request } = exchange;
  const headers = { ...request.headers };
  const body = await requestBody(request.body, request.path, binding);
  const response = await fetch(`${serverUrl()}${translatePath(request.path, binding)}`, {
    method: request.method,
    headers: { Accept: 'application/json', ...headers },
    ...(body === undefined ? {} : { body: new TextEncoder().encode(body) }),
  });
  const text = await response.text();
  const { response: recorded } = exchange;
  if (response.status !== recorded.status)
    return [`status: expected ${recorded.status}, got ${response.status}: ${text.slice(0, 300)}`];
  const lines: string[] = [];
  if (recorded.stream !== undefined) {
    const actual = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Json);
    const expected = recorded.stream.map(({ event }) => event);
    return [...lines, ...compareJson(expected, actual, binding)];
  }
  lines.push(...compareWarnings(recorded.headers['Warning'], response.headers.get('warning')));
  if (recorded.body === undefined || recorded.body === null) return lines;
  if (typeof recorded.body === 'string') {
    return lines;
  }
  return [...lines, ...compareJson(recorded.body, JSON.parse(text) as Json, binding)];
}

/** Why an exchange is not this server's business; undefined when it is. */
function outOfScope(exchange: Exchange): string | undefined {
  const { request, response } = exchange;
  const headers = JSON.stringify(request.headers);
  if (/Impersonate-User|Bearer/.test(headers) || response.status === 403) return 'no authentication on loopback';
  if (/apply-patch/.test(headers)) return 'server-side apply is answered 415';
  if (/strategic-merge/.test(headers) && !request.path.includes('manx.network'))
    return 'strategic merge is answered 415';
  if (/protobuf"/.test(headers)) return 'no protobuf';
  return undefined;
}

function compareWarnings(recorded: string | string[] | undefined, actual: string | null): string[] {
  const expected = recorded === undefined ? null : [recorded].flat().join(', ');
  return expected === actual ? [] : [`warning: expected ${expected}, got ${actual}`];
}

function translatePath(path: string, binding: Binding): string {
  return path
    .replaceAll(/continue=([\w-]+)/g, (_, token: string) => `continue=${binding.toActual(token) ?? token}`)
    .replaceAll(
      /resourceVersion=(10\d\d)/g,
      (_, revision: string) => `resourceVersion=${binding.toActual(revision) ?? revision}`,
    );
}

/** The body with this run's uids and revisions; an unknown revision means the one the object has now. */
async function requestBody(body: Json | undefined, path: string, binding: Binding): Promise<string | undefined> {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return body;
  const text = pythonJson(body);
  for (const revision of text.matchAll(/"resourceVersion": "(10\d\d)"/g)) {
    const recorded = revision[1] ?? '';
    if (binding.toActual(recorded) !== undefined) continue;
    const current = (await call('GET', path.replace(/\/status$/, '').split('?')[0] ?? path)) as {
      metadata?: { resourceVersion?: string; uid?: string };
    };
    if (current.metadata?.resourceVersion !== undefined) binding.bind(recorded, current.metadata.resourceVersion);
    const uid = /"uid": "([0-9a-f-]{36})"/.exec(text)?.[1];
    if (uid !== undefined && current.metadata?.uid !== undefined) binding.bind(uid, current.metadata.uid);
  }
  return translate(text, binding);
}

/** JSON spaced as the recorder sent it: refusals quote the text. */
function pythonJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${pythonJson(member)}`);
  return `{${members.join(', ')}}`;
}
