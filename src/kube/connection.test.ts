import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { after, before, suite, test } from 'node:test';
import { createKubeClient } from './client.ts';
import { isRecord } from './objects.ts';
import { resources } from './resources.ts';
import { answer, writeKubeconfig } from './testing.ts';

const { signal } = new AbortController();
const folder = join(import.meta.dirname, '../../test/fixtures/tls');
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const base64 = (name: string): string => Buffer.from(read(name)).toString('base64');

interface Seen {
  readonly user: string | undefined;
  readonly authorization: string | undefined;
}

let server: Server;
let url = '';
let seen: Seen[] = [];

before(async () => {
  const options = { cert: read('server.pem'), key: read('server.key'), ca: read('ca.pem') };
  server = createServer({ ...options, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate();
    seen.push({ user: peer.subject?.CN?.toString(), authorization: request.headers.authorization });
    answer(response, 200, { metadata: { name: 'p' } });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  url = `https://127.0.0.1:${isRecord(address) ? String(address['port']) : ''}`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

/** One call with this cluster and user; what the server saw of it. */
async function call(cluster: object, user: object): Promise<Seen | undefined> {
  seen = [];
  const file = await writeKubeconfig(
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
      clusters: [{ name: 'k', cluster: { server: url, ...cluster } }],
      users: [{ name: 'u', user }],
    }),
  );
  try {
    const client = await createKubeClient({ kubeconfig: file.path });
    try {
      await client.get(resources.ipPools, 'p', { signal });
    } finally {
      client.close();
    }
    return seen[0];
  } finally {
    await file.remove();
  }
}

const trusted = { 'certificate-authority-data': base64('ca.pem') };

suite('a server at https', () => {
  test('is trusted by the CA in the kubeconfig', async () => {
    assert.deepEqual(await call(trusted, { token: 't' }), { user: undefined, authorization: 'Bearer t' });
  });

  test('is trusted by a CA file', async () => {
    assert.ok(await call({ 'certificate-authority': join(folder, 'ca.pem') }, {}));
  });

  test('is refused without its CA, and the reason is said', async () => {
    await assert.rejects(call({}, { token: 't' }), (error) => {
      assert.match(String(error), /certificate in certificate chain|unable to verify/);
      return true;
    });
    assert.deepEqual(seen, []);
  });

  test('is not checked where the kubeconfig says so', async () => {
    assert.ok(await call({ 'insecure-skip-tls-verify': true }, {}));
  });

  test('may be known by another name', async () => {
    assert.ok(await call({ ...trusted, 'tls-server-name': 'api.test' }, {}));
    await assert.rejects(call({ ...trusted, 'tls-server-name': 'other.test' }, {}), /altnames/);
  });

  test('knows us by our certificate', async () => {
    const user = { 'client-certificate-data': base64('client.pem'), 'client-key-data': base64('client.key') };
    assert.deepEqual(await call(trusted, user), { user: 'node-a', authorization: undefined });
  });

  test('knows us by what an exec plug-in says', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-exec' },
    };
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-p', `'${JSON.stringify(credential)}'`],
      interactiveMode: 'Never',
    };
    assert.deepEqual(await call(trusted, { exec }), { user: undefined, authorization: 'Bearer from-exec' });
  });

  test('an exec plug-in that fails is named with its kubeconfig', async () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: '/nonexistent/plugin',
      interactiveMode: 'Never',
    };
    await assert.rejects(call(trusted, { exec }), { code: 'KUBECONFIG', message: /kubeconfig: exec: .*nonexistent/ });
  });
});
