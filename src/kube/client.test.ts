import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { createKubeClient } from './client.ts';
import { KubeConfigError, KubeError } from './errors.ts';
import type { KubeObject } from './objects.ts';
import { resources } from './resources.ts';
import { answer, type Script, type ScriptedServer, startScriptedServer, status, writeKubeconfig } from './testing.ts';

const { signal } = new AbortController();
const started: ScriptedServer[] = [];

async function serve(script: Script): Promise<ScriptedServer> {
  const server = await startScriptedServer(script);
  started.push(server);
  return server;
}

after(async () => {
  for (const server of started) await server.close();
});

const object = (name: string): KubeObject => ({
  apiVersion: 'manx.network/v1',
  kind: 'IPPool',
  metadata: { name, resourceVersion: '7' },
});

suite('calls', () => {
  test('each verb goes to its path with its body', async () => {
    const server = await serve((_request, response) => answer(response, 200, object('a b')));
    const { client } = server;
    await client.get(resources.ipPools, 'a b', { signal });
    await client.create(resources.ipPools, object('p'), { signal });
    await client.replace(resources.pods, { metadata: { name: 'p', namespace: 'n' } }, { signal });
    await client.replaceStatus(resources.ipPools, object('p'), { signal });
    await client.patchMerge(resources.nodes, 'n1', { metadata: { labels: { a: null } } }, { signal });
    await client.delete(resources.leases, 'l', {
      signal,
      namespace: 'kube-system',
      preconditions: { resourceVersion: '7' },
    });
    assert.deepEqual(
      server.requests.map(({ method, path, headers }) => `${method} ${path} ${headers['content-type'] ?? '-'}`),
      [
        'GET /apis/manx.network/v1/ippools/a%20b -',
        'POST /apis/manx.network/v1/ippools application/json',
        'PUT /api/v1/namespaces/n/pods/p application/json',
        'PUT /apis/manx.network/v1/ippools/p/status application/json',
        'PATCH /api/v1/nodes/n1 application/merge-patch+json',
        'DELETE /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l application/json',
      ],
    );
    assert.deepEqual(JSON.parse(server.requests[5]?.body ?? ''), {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { resourceVersion: '7' },
    });
  });

  test('a list is read in pages of 500 until there is no continue', async () => {
    const server = await serve(({ query }, response) => {
      const page = Number(query.get('continue') ?? '0');
      answer(response, 200, {
        metadata: { resourceVersion: '42', continue: page < 2 ? String(page + 1) : '' },
        items: [object(`p${page}`)],
      });
    });
    const { items, resourceVersion } = await server.client.list(resources.ipPools, {
      signal,
      fieldSelector: 'spec.node=a',
    });
    assert.deepEqual([items.length, resourceVersion], [3, '42']);
    assert.deepEqual(
      server.requests.map(({ query }) => query.toString()),
      [
        'limit=500&fieldSelector=spec.node%3Da',
        'limit=500&fieldSelector=spec.node%3Da&continue=1',
        'limit=500&fieldSelector=spec.node%3Da&continue=2',
      ],
    );
  });

  test('find answers undefined for an object that does not exist', async () => {
    const server = await serve((_request, response) => answer(response, 404, status(404, 'NotFound')));
    assert.equal(await server.client.find(resources.ipPools, 'x', { signal }), undefined);
  });

  test('connections are kept between calls', async () => {
    const ports = new Set<unknown>();
    const server = await serve((_request, response) => {
      ports.add(response.socket?.remotePort);
      answer(response, 200, object('p'));
    });
    for (let call = 0; call < 5; call++) await server.client.get(resources.ipPools, 'p', { signal });
    assert.equal(ports.size, 1);
  });

  test('a read on a kept connection that the server just closed is sent again', async () => {
    let calls = 0;
    const server = await serve((_request, response) => {
      calls += 1;
      if (calls === 2) response.socket?.destroy();
      else answer(response, 200, object('p'));
    });
    await server.client.get(resources.ipPools, 'p', { signal });
    assert.equal((await server.client.get(resources.ipPools, 'p', { signal })).metadata.name, 'p');
    assert.equal(calls, 3);
  });

  test('a write on a kept connection that breaks is not sent again', async () => {
    let calls = 0;
    const server = await serve((_request, response) => {
      calls += 1;
      if (calls === 2) response.socket?.destroy();
      else answer(response, 200, object('p'));
    });
    await server.client.get(resources.ipPools, 'p', { signal });
    await assert.rejects(server.client.replace(resources.ipPools, object('p'), { signal }), {
      code: 'API_UNREACHABLE',
    });
    assert.equal(calls, 2);
  });
});

suite('failures', () => {
  const cases: readonly { name: string; script: Script; expected: Partial<KubeError> }[] = [
    {
      name: 'a Status answer keeps its words, reason and pause',
      script: (_request, response) =>
        answer(response, 429, {
          ...status(429, 'TooManyRequests', 'storage is (re)initializing'),
          details: { retryAfterSeconds: 3 },
        }),
      expected: {
        code: 'API_STATUS',
        status: 429,
        reason: 'TooManyRequests',
        retryAfterSec: 3,
        message: 'GET /apis/manx.network/v1/ippools/p: 429: storage is (re)initializing',
      },
    },
    {
      name: 'a Retry-After header counts',
      script: (_request, response) => answer(response, 503, 'busy', { 'retry-after': '7' }),
      expected: { status: 503, retryAfterSec: 7, message: 'GET /apis/manx.network/v1/ippools/p: 503: busy' },
    },
    {
      name: 'a success that is not JSON',
      script: (_request, response) => answer(response, 200, '<html>'),
      expected: { code: 'API_PROTOCOL', message: 'GET /apis/manx.network/v1/ippools/p: the answer is not JSON' },
    },
    {
      name: 'a success that is no object',
      script: (_request, response) => answer(response, 200, { metadata: {} }),
      expected: { code: 'API_PROTOCOL' },
    },
    {
      name: 'an answer that breaks off in the middle',
      script: (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{', () => response.socket?.destroy());
      },
      expected: { code: 'API_UNREACHABLE', status: 0 },
    },
  ];
  for (const { name, script, expected } of cases) {
    test(name, async () => {
      const server = await serve(script);
      await assert.rejects(server.client.get(resources.ipPools, 'p', { signal }), (error) => {
        assert.ok(error instanceof KubeError, String(error));
        for (const [field, value] of Object.entries(expected)) assert.equal(Reflect.get(error, field), value);
        return true;
      });
    });
  }

  test('a server that is not there is named with the reason', async () => {
    const server = await serve(() => undefined);
    await server.close();
    started.pop();
    await assert.rejects(server.client.get(resources.ipPools, 'p', { signal }), (error) => {
      assert.ok(error instanceof KubeError);
      assert.match(error.message, /^GET http:\/\/127\.0\.0\.1:\d+\/apis.*ECONNREFUSED/);
      return error.code === 'API_UNREACHABLE';
    });
  });

  test('a server that does not answer is given up after the time limit', async () => {
    const server = await serve(() => undefined);
    const kubeconfig = await writeKubeconfig(minimal({ server: server.url }));
    const client = await createKubeClient({ kubeconfig: kubeconfig.path, timeoutMs: 20 });
    await kubeconfig.remove();
    await assert.rejects(client.get(resources.ipPools, 'p', { signal }), /no answer within 20 ms/);
    client.close();
  });

  test('an aborted signal ends the call with its reason', async () => {
    const controller = new AbortController();
    const server = await serve(() => controller.abort(new Error('enough')));
    await assert.rejects(server.client.get(resources.ipPools, 'p', { signal: controller.signal }), /enough/);
    await assert.rejects(server.client.get(resources.ipPools, 'p', { signal: controller.signal }), /enough/);
  });
});

function minimal(cluster: unknown, user?: unknown): string {
  return JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', ...(user === undefined ? {} : { user: 'u' }) } }],
    clusters: [{ name: 'k', cluster }],
    users: user === undefined ? [] : [{ name: 'u', user }],
  });
}

suite('kubeconfig', () => {
  const pem = Buffer.from('-----BEGIN CERTIFICATE-----\n').toString('base64');
  const broken: readonly (readonly [name: string, text: string, says: RegExp])[] = [
    ['text that is not YAML', 'a: [', /kubeconfig: is not YAML: /],
    ['no map', '- a', /kubeconfig: is not a kubeconfig: expected a map at the top/],
    ['another kind', 'kind: Pod', /kubeconfig: kind: is "Pod", expected Config/],
    ['no current context', 'clusters: []', /kubeconfig: current-context: is missing/],
    ['a context that is not there', 'current-context: x', /kubeconfig: contexts: has no entry named "x"/],
    [
      'a cluster that is not there',
      '{current-context: c, contexts: [{name: c, context: {cluster: k}}]}',
      /clusters: has no entry named "k"/,
    ],
    ['no server', minimal({}), /clusters\[0\]\.cluster\.server: is missing/],
    [
      'a server that is no URL',
      minimal({ server: 'nowhere' }),
      /clusters\[0\]\.cluster\.server: "nowhere" is not a URL/,
    ],
    ['another protocol', minimal({ server: 'ftp://x' }), /server: "ftp:\/\/x" must start with https:\/\/ or http:\/\//],
    [
      'a CA file that is not there',
      minimal({ server: 'https://x', 'certificate-authority': 'ca.crt' }),
      /certificate-authority: cannot read .*ca\.crt: no such file/,
    ],
    [
      'a CA that is no PEM',
      minimal({ server: 'https://x', 'certificate-authority-data': 'AAAA' }),
      /certificate-authority-data: holds no PEM block/,
    ],
    [
      'a token that is no string',
      minimal({ server: 'https://x' }, { token: 5 }),
      /users\[0\]\.user\.token: must be a string/,
    ],
    [
      'a certificate without a key',
      minimal({ server: 'https://x' }, { 'client-certificate-data': pem }),
      /client-key: is missing beside the certificate/,
    ],
    [
      'a user name without a password',
      minimal({ server: 'https://x' }, { username: 'a' }),
      /users\[0\]\.user\.password: is missing/,
    ],
    [
      'an exec plug-in with a plain server',
      minimal({ server: 'http://x' }, { exec: {} }),
      /exec: is not supported with a server at http/,
    ],
  ];
  for (const [name, text, says] of broken) {
    test(`${name} is refused by file and field`, async () => {
      const file = await writeKubeconfig(text);
      await assert.rejects(createKubeClient({ kubeconfig: file.path }), (error) => {
        assert.ok(error instanceof KubeConfigError, String(error));
        assert.match(error.message, says);
        return error.message.startsWith(file.path);
      });
      await file.remove();
    });
  }

  test('a file that does not exist is refused by name', async () => {
    await assert.rejects(createKubeClient({ kubeconfig: '/nonexistent/kubeconfig' }), {
      code: 'KUBECONFIG',
      message: '/nonexistent/kubeconfig: cannot be read: no such file',
    });
  });

  test('without a kubeconfig and outside a pod the reason is said', async () => {
    await assert.rejects(createKubeClient({}), {
      message: /no kubeconfig was given and KUBERNETES_SERVICE_HOST is not set/,
    });
  });

  const users: readonly (readonly [name: string, user: unknown, authorization: string | undefined])[] = [
    ['no credentials', {}, undefined],
    ['a token', { token: 't0ken' }, 'Bearer t0ken'],
    ['a password', { username: 'u', password: 'p' }, `Basic ${Buffer.from('u:p').toString('base64')}`],
    ['a token file beside the kubeconfig', { tokenFile: 'kubeconfig' }, 'Bearer {'],
  ];
  for (const [name, user, authorization] of users) {
    test(`${name} is sent as ${authorization ?? 'nothing'}`, async () => {
      const server = await serve((_request, response) => answer(response, 200, object('p')));
      const file = await writeKubeconfig(minimal({ server: server.url }, user));
      const client = await createKubeClient({ kubeconfig: file.path });
      await client.get(resources.ipPools, 'p', { signal });
      assert.equal(server.requests[0]?.headers.authorization?.slice(0, authorization?.length), authorization);
      client.close();
      await file.remove();
    });
  }
});
