/**
 * Acknowledged means on disk: the server is killed with SIGKILL in the middle of writes, again and again, and every write
 * it answered is there after the restart; revisions never go back; watches go on where they were. Also how it refuses to
 * start.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeDataDir, removeDataDir, type ServerProcess, ServerStartError, startServer } from './server-process.ts';
import { Watching } from './watching.ts';

const pools = '/apis/manx.network/v1/ippools';
const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

interface ObjectBody {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly spec: { readonly holderIdentity?: string };
}

function lease(name: string, holderIdentity: string): object {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec: { holderIdentity } };
}

async function post(server: ServerProcess, path: string, body: object): Promise<ObjectBody> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 201);
  const answer = (await response.json()) as ObjectBody;
  return answer;
}

async function list(server: ServerProcess, path: string): Promise<{ items: ObjectBody[]; revision: number }> {
  const body = (await (await fetch(`${server.url}${path}`)).json()) as {
    items: ObjectBody[];
    metadata: { resourceVersion: string };
  };
  return { items: body.items, revision: Number(body.metadata.resourceVersion) };
}

describe('durability', () => {
  let dataDir = '';
  before(async () => {
    dataDir = await makeDataDir();
  });
  after(async () => removeDataDir(dataDir));

  test('no acknowledged write is lost by kill -9 in the middle of writes', async () => {
    const acknowledged = new Map<string, string>();
    let highest = 0;
    for (let round = 0; round < 4; round += 1) {
      // A small limit, so that snapshots are written all the while.
      const server = await startServer({ dataDir, compactAfterBytes: 40_000 });
      const { items, revision } = await list(server, leases);
      const stored = new Map(items.map((item) => [item.metadata.name, item.metadata.resourceVersion]));
      for (const [name, version] of acknowledged) assert.equal(stored.get(name), version, `round ${round}: ${name}`);
      assert.ok(revision >= highest, `the revision went back from ${highest} to ${revision}`);
      const writers = Promise.allSettled(
        Array.from({ length: 8 }, async (_, writer) => {
          for (let index = 0; ; index += 1) {
            const name = `r${round}-w${writer}-${index}`;
            const made = await post(server, leases, lease(name, 'x'.repeat(200)));
            acknowledged.set(name, made.metadata.resourceVersion);
            highest = Math.max(highest, Number(made.metadata.resourceVersion));
          }
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 250));
      const closed = once(server.child, 'close');
      server.child.kill('SIGKILL');
      await closed;
      await writers;
    }
    assert.ok(acknowledged.size > 200, `only ${acknowledged.size} writes were acknowledged`);
  });

  test('a torn last line is dropped, a broken line in the middle refuses the start', async () => {
    const data = join(dataDir, 'data');
    // The kill may have come between two logs: only the newest may end torn.
    const logs = (await readdir(data)).filter((name) => name.startsWith('log-'));
    const revision = (name: string): number => Number(/\d+/.exec(name)?.[0]);
    const log = join(data, logs.toSorted((a, b) => revision(b) - revision(a))[0] ?? '');
    await appendFile(log, '1234abcd {"r":99999999,"c":"put"');
    const server = await startServer({ dataDir });
    await post(server, leases, lease('after-the-tear', 'a'));
    await server.stop();
    const again = await startServer({ dataDir });
    const { items } = await list(again, leases);
    assert.ok(items.some((item) => item.metadata.name === 'after-the-tear'));
    await again.stop();
    const text = await readFile(log, 'utf8');
    const lines = text.split('\n');
    lines[3] = `0${lines[3]?.slice(1)}x`;
    await writeFile(log, lines.join('\n'));
    await assert.rejects(startServer({ dataDir }), (error: unknown) => {
      assert.ok(error instanceof ServerStartError);
      assert.equal(error.exitCode, 74);
      assert.match(
        error.message,
        /^manx api server: .*log-\d+\.jsonl is damaged at line 4: expected a record with a matching checksum$/,
      );
      return true;
    });
  });
});

describe('restart', () => {
  let dataDir = '';
  before(async () => {
    dataDir = await makeDataDir();
  });
  after(async () => removeDataDir(dataDir));

  test('keeps uids and revisions, and a watch goes on from where it was', async () => {
    const first = await startServer({ dataDir });
    const made = await post(first, leases, lease('one', 'a'));
    await post(first, leases, lease('two', 'a'));
    assert.equal(await first.stop(), 0);
    const second = await startServer({ dataDir });
    const watching = await Watching.open(
      `${second.url}${leases}?watch=true&resourceVersion=${made.metadata.resourceVersion}`,
    );
    await post(second, leases, lease('three', 'a'));
    assert.deepEqual(await watching.first(2), ['ADDED two', 'ADDED three']);
    await watching.close();
    await second.stop();
  });

  test('after a compaction holds the same objects and answers 410 for revisions before it', async () => {
    const first = await startServer({ dataDir });
    const before = await list(first, leases);
    const { request } = await import('node:http');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const call = request({ socketPath: first.controlSocket, path: '/compact', method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      call.once('error', reject);
      call.end();
    });
    assert.equal(status, 204);
    await first.stop();
    const second = await startServer({ dataDir });
    assert.deepEqual(await list(second, leases), before);
    const old = await Watching.open(`${second.url}${leases}?watch=true&resourceVersion=3`);
    assert.deepEqual(await old.all(), ['ERROR']);
    const present = await Watching.open(
      `${second.url}${leases}?watch=true&timeoutSeconds=1&resourceVersion=${before.revision}`,
    );
    assert.deepEqual(await present.all(), []);
    assert.equal((await readdir(join(dataDir, 'data'))).filter((name) => name.startsWith('log-')).length, 1);
    await second.stop();
  });
});

describe('refusals at the start', () => {
  let dataDir = '';
  before(async () => {
    dataDir = await makeDataDir();
  });
  after(async () => removeDataDir(dataDir));

  const refuses = async (start: Promise<ServerProcess>, exitCode: number, sentence: RegExp): Promise<void> => {
    await assert.rejects(start, (error: unknown) => {
      assert.ok(error instanceof ServerStartError);
      assert.deepEqual([error.exitCode, error.message.split('\n').length], [exitCode, 1], error.message);
      assert.match(error.message, sentence);
      return true;
    });
  };

  test('a port that is taken is named', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await refuses(
      startServer({ dataDir, port }),
      69,
      new RegExp(`EADDRINUSE: address already in use 127.0.0.1:${port}`),
    );
    other.close();
  });

  test('a CRD with a rule that does not compile names file, object and rule', async () => {
    const crd = join(dataDir, 'bad.yaml');
    await writeFile(
      crd,
      `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.net}
spec:
  group: example.net
  scope: Cluster
  names: {plural: things, singular: thing, kind: Thing}
  versions:
    - name: v1
      storage: true
      served: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, x-kubernetes-validations: [{rule: 'self.nope((', message: broken}]}
`,
    );
    await refuses(
      startServer({ dataDir, crds: [crd] }),
      65,
      /bad\.yaml: rule at spec does not compile: .*self\.nope\(\(/,
    );
  });

  test('a CRD path that does not exist is named', async () => {
    await refuses(
      startServer({ dataDir, crds: [join(dataDir, 'nowhere')] }),
      65,
      /nowhere does not exist: expected a CRD file or a directory/,
    );
  });

  test('a data directory that is a file is named', async () => {
    const other = join(dataDir, 'other');
    await mkdir(other);
    await writeFile(join(other, 'data'), '');
    await refuses(startServer({ dataDir: other }), 74, /other\/data/);
  });
});

test('50 clients create at once, and 100 watchers see each object once', async (t) => {
  const dataDir = await makeDataDir();
  const server = await startServer({ dataDir });
  const watchers = await Promise.all(
    Array.from({ length: 100 }, async () => Watching.open(`${server.url}${pools}?watch=true`)),
  );
  const count = 1_000;
  const began = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      while (next < count) {
        const index = next;
        next += 1;
        const spec = { cidr: `10.${index >> 8}.${index & 255}.0/24` };
        await post(server, pools, {
          apiVersion: 'manx.network/v1',
          kind: 'IPPool',
          metadata: { name: `p${index}` },
          spec,
        });
      }
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  for (const watcher of watchers) assert.equal((await watcher.first(count)).length, count);
  t.diagnostic(`${Math.round(count / seconds)} acknowledged creates a second with 100 watchers`);
  for (const watcher of watchers) await watcher.close();
  await server.stop();
  await removeDataDir(dataDir);
});
