/**
 * The Kubernetes adapter on the embedded API server, which runs as its own process with the CRDs of crds/: the IPAM store keeps
 * the contract, objects the API server must refuse are refused, and an informer lives through a server that is killed.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import {
  createIpamStore,
  createKubeClient,
  Informer,
  type IPPool,
  isStatus,
  type KubeClient,
  type KubeObject,
  KubeError,
  parseIPAMBlock,
  parseIPPool,
  resources,
} from '#kube';
import { parsePrefix } from '#net';
import { systemTimers } from '#observe';
import { storeContract } from '../../ipam/store.contract.ts';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from '../kubernetes/server-process.ts';

const crds = [join(import.meta.dirname, '../../crds')];
const signal = AbortSignal.timeout(120_000);
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };
function ignore(): void {
  // the tests look at state, not at words
}

async function connect(server: ServerProcess): Promise<KubeClient> {
  const directory = await mkdtemp(join(tmpdir(), 'mxt-kube-'));
  const kubeconfig = join(directory, 'kubeconfig');
  const cluster = { name: 'lab', cluster: { server: server.url } };
  const context = { name: 'lab', context: { cluster: 'lab' } };
  await writeFile(kubeconfig, JSON.stringify({ 'current-context': 'lab', contexts: [context], clusters: [cluster] }));
  const client = await createKubeClient({ kubeconfig });
  await rm(directory, { recursive: true });
  return client;
}

function pool(name: string, spec: Readonly<Record<string, unknown>>): KubeObject {
  return { apiVersion: 'manx.network/v1', kind: 'IPPool', metadata: { name }, spec };
}

let server: ServerProcess;
let client: KubeClient;

before(async () => {
  server = await startServer({ dataDir: await makeDataDir(), crds });
  client = await connect(server);
});

after(async () => {
  client.close();
  await server.stop();
  await removeDataDir(server.dataDir);
});

storeContract('kubernetes API', () => createIpamStore(client));

suite('objects of IPAM in the API server', () => {
  test('a block is kept in the field names people know, its owner as host:NODE', async () => {
    const cidr = parsePrefix('10.64.0.0/30');
    const block = {
      cidr,
      affinity: 'node-a',
      allocations: [0, null, null, null],
      unallocated: [1, 2, 3],
      attributes: [{ handle: 'net.c0ffee', attributes: { pod: 'web-0' } }],
      sequenceNumber: 1_795_000_000_000,
      sequenceNumberForAllocation: { '0': 1_795_000_000_000 },
      deleted: false,
    };
    const { revision } = await createIpamStore(client).blocks.create('10-64-0-0-30', block, { signal });
    const object = await client.get(resources.ipamBlocks, '10-64-0-0-30', { signal });
    assert.equal(object.metadata.resourceVersion, revision);
    assert.deepEqual(object.spec, { ...block, affinity: 'host:node-a' });
    assert.deepEqual(parseIPAMBlock(object), { ok: true, value: block });
  });

  test('a block that cannot be understood is CORRUPT when read alone, and left out of a list', async () => {
    const store = createIpamStore(client);
    const spec = { cidr: '10.65.0.0/30', allocations: [], unallocated: [], attributes: [], sequenceNumber: 2 ** 60 };
    await client.create(
      resources.ipamBlocks,
      { metadata: { name: 'odd' }, apiVersion: 'manx.network/v1', kind: 'IPAMBlock', spec },
      { signal },
    );
    await assert.rejects(store.blocks.get('odd', { signal }), {
      code: 'CORRUPT',
      message: /IPAMBlock odd: spec\.sequenceNumber/,
    });
    const listed = await store.blocks.list({ signal });
    assert.ok(!listed.some(({ value }) => value.cidr === '10.65.0.0/30'));
    await client.delete(resources.ipamBlocks, 'odd', { signal });
  });
});

suite('what the API server refuses by the rules of crds/', () => {
  const refused: readonly (readonly [name: string, spec: Readonly<Record<string, unknown>>, says: RegExp])[] = [
    ['host bits', { cidr: '10.64.0.1/16' }, /spec\.cidr: .*cidr must not have host bits set/],
    ['a tunnel', { cidr: '10.64.0.0/16', vxlanMode: 'Always' }, /spec\.vxlanMode: Unsupported value: "Always"/],
    [
      'global() in a namespace selector',
      { cidr: '10.64.0.0/16', namespaceSelector: 'global()' },
      /spec\.namespaceSelector: .*cannot use global\(\)/,
    ],
    ['no cidr', {}, /spec\.cidr: Required value/],
  ];
  for (const [name, spec, says] of refused) {
    test(`${name} is refused with the field`, async () => {
      await assert.rejects(client.create(resources.ipPools, pool('bad', spec), { signal }), (error) => {
        assert.ok(error instanceof KubeError && error.status === 422, String(error));
        assert.match(error.message, says);
        return true;
      });
    });
  }

  test('cidr cannot change, and defaults are filled in', async () => {
    const made = await client.create(resources.ipPools, pool('fixed', { cidr: '10.66.0.0/16' }), { signal });
    assert.deepEqual(parseIPPool(made), {
      ok: true,
      value: {
        name: 'fixed',
        cidr: '10.66.0.0/16',
        blockSize: 26,
        disabled: false,
        natOutgoing: false,
        disableBGPExport: false,
        nodeSelector: 'all()',
        namespaceSelector: undefined,
        automatic: true,
        workloads: true,
        terminating: false,
        createdAt: String(made.metadata['creationTimestamp']),
      },
    });
    await assert.rejects(
      client.patchMerge(resources.ipPools, 'fixed', { spec: { cidr: '10.67.0.0/16' } }, { signal }),
      /cidr is immutable; make a new pool and disable this one/,
    );
    await client.delete(resources.ipPools, 'fixed', { signal });
    assert.equal(await client.find(resources.ipPools, 'fixed', { signal }), undefined);
  });
});

suite('an informer and its API server', () => {
  /** An informer of pools; `until` waits for a change that makes `reached` true. */
  function watchPools(from: KubeClient): {
    readonly informer: Informer<IPPool>;
    readonly until: (reached: () => boolean) => Promise<void>;
  } {
    let wake: () => void = ignore;
    const informer = new Informer<IPPool>({
      client: from,
      resource: resources.ipPools,
      parse: parseIPPool,
      timers: systemTimers,
      random: Math.random,
      log: silent,
      backoff: { baseMs: 20, maxMs: 100, jitter: 0.5 },
      onChange: () => wake(),
    });
    const until = async (reached: () => boolean): Promise<void> => {
      while (!reached()) await new Promise<void>((resolve) => (wake = resolve));
    };
    informer.start();
    return { informer, until };
  }

  test('sees objects come, change and go', async () => {
    const { informer, until } = watchPools(client);
    await until(() => informer.inSync);
    await client.create(resources.ipPools, pool('a', { cidr: '10.70.0.0/16' }), { signal });
    await until(() => informer.items.has('a'));
    await client.patchMerge(resources.ipPools, 'a', { spec: { disabled: true } }, { signal });
    await until(() => informer.items.get('a')?.disabled === true);
    await client.delete(resources.ipPools, 'a', { signal });
    await until(() => !informer.items.has('a'));
    await informer.stop();
  });

  test('keeps its items while the server is killed, and goes on when it is back', async () => {
    const dataDir = await makeDataDir();
    const first = await startServer({ dataDir, crds });
    const own = await connect(first);
    await own.create(resources.ipPools, pool('kept', { cidr: '10.71.0.0/16' }), { signal });
    await own.create(resources.ipPools, pool('gone', { cidr: '10.72.0.0/16' }), { signal });
    const { informer, until } = watchPools(own);
    await until(() => informer.items.size === 2);

    first.child.kill('SIGKILL');
    await once(first.child, 'close');
    assert.deepEqual([...informer.items.keys()].toSorted(), ['gone', 'kept']);

    const second = await startServer({ dataDir, crds, port: first.port });
    await own.delete(resources.ipPools, 'gone', { signal });
    await own.create(resources.ipPools, pool('new', { cidr: '10.73.0.0/16' }), { signal });
    await until(() => informer.items.has('new') && !informer.items.has('gone'));
    assert.deepEqual([...informer.items.keys()].toSorted(), ['kept', 'new']);
    await informer.stop();
    own.close();
    await second.stop();
    await removeDataDir(dataDir);
  });

  test('lists and watches 1,200 objects page by page', async () => {
    const names = Array.from({ length: 1200 }, (_, index) => `big-${index}`);
    await Promise.all(
      names.map(async (name, index) => {
        const spec = { cidr: `10.${128 + (index >> 8)}.${index & 255}.0/24` };
        await client.create(resources.ipPools, pool(name, spec), { signal });
      }),
    );
    const { informer, until } = watchPools(client);
    await until(() => informer.inSync);
    assert.equal(names.filter((name) => informer.items.has(name)).length, 1200);
    assert.equal(informer.invalid.size, 0);
    await informer.stop();
  });

  test('a conflict is a conflict', async () => {
    const made = await client.create(resources.ipPools, pool('c', { cidr: '10.80.0.0/16' }), { signal });
    await client.patchMerge(resources.ipPools, 'c', { metadata: { labels: { a: 'b' } } }, { signal });
    await assert.rejects(client.replace(resources.ipPools, made, { signal }), (error) => isStatus(error, 409));
  });
});
