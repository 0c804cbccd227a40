/**
 * The contract on the embedded API server, through HTTP on loopback, and what is promised of it alone.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiContract } from './contract.ts';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from './server-process.ts';

let server: ServerProcess | undefined;

apiContract(
  'embedded server',
  async () => {
    server = await startServer({ dataDir: await makeDataDir() });
    return { url: server.url };
  },
  async () => {
    if (server === undefined) return;
    assert.equal(await server.stop(), 0);
    await removeDataDir(server.dataDir);
  },
);

test('server-side apply and strategic merge of a built-in kind are answered 415 with what is taken', async () => {
  const dataDir = await makeDataDir();
  const alone = await startServer({ dataDir });
  for (const [path, type] of [
    ['/apis/manx.network/v1/ippools/x?fieldManager=m', 'application/apply-patch+yaml'],
    ['/api/v1/namespaces/default', 'application/strategic-merge-patch+json'],
  ]) {
    const response = await fetch(`${alone.url}${path}`, {
      method: 'PATCH',
      headers: { 'Content-Type': type ?? '' },
      body: '{}',
    });
    const body = (await response.json()) as { reason: string; message: string };
    assert.deepEqual([response.status, body.reason], [415, 'UnsupportedMediaType']);
    assert.match(body.message, /application\/json-patch\+json, application\/merge-patch\+json$/);
  }
  await alone.stop();
  await removeDataDir(dataDir);
});
