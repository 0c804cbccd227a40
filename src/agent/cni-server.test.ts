// The agent's socket: who may use it, what it refuses, and that it answers whoever asked.
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CniError, formatRequest, maxMessageBytes, type CniRequest, type CniResponse } from '#cni-protocol';
import { createCniServer } from './cni-server.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-socket-'));
});
after(() => rm(folder, { recursive: true }));

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

function server(name: string, handle: (request: CniRequest) => Promise<CniResponse>) {
  const path = join(folder, name, 'cni.sock');
  return { path, ...createCniServer({ path, handle, log: quiet }) };
}

function ask(path: string, text: string): Promise<{ ok: boolean; code?: number; message?: string }> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    let answer = '';
    socket.on('data', (chunk) => void (answer += String(chunk)));
    socket.on('end', () => resolve(JSON.parse(answer) as { ok: boolean }));
    socket.on('error', reject);
    socket.write(text);
  });
}

test('the folder is 0750, the socket 0660, and a request is answered', async () => {
  const { path, start, stop } = server('modes', async () => ({ ok: true, result: undefined }));
  await start();
  equal((await stat(path)).mode & 0o777, 0o660);
  equal((await stat(join(path, '..'))).mode & 0o777, 0o750);
  deepEqual(await ask(path, formatRequest({ command: 'STATUS' })), { ok: true });
  await stop();
});

const answers: readonly { name: string; text: string; code: number; message: RegExp }[] = [
  { name: 'not JSON', text: 'hello\n', code: 6, message: /not JSON/ },
  { name: 'another protocol', text: '{"protocol":2,"command":"STATUS"}\n', code: 6, message: /protocol 2/ },
  {
    name: 'a path as container id',
    text: '{"protocol":1,"command":"DEL","containerId":"../x","ifname":"eth0"}\n',
    code: 4,
    message: /container id/,
  },
  { name: 'more than 64 KiB', text: 'x'.repeat(maxMessageBytes + 1), code: 6, message: /longer than/ },
];
for (const { name, text, code, message } of answers) {
  test(`refused with code ${code}: ${name}`, async () => {
    const { path, start, stop } = server('refused', () => Promise.reject(new Error('must not be asked')));
    await start();
    const answer = await ask(path, text);
    equal(answer.code, code);
    match(answer.message ?? '', message);
    await stop();
  });
}

test('an error of a verb becomes its answer, an unexpected one code 11', async () => {
  let error: Error = new CniError(100, 'no address left');
  const { path, start, stop } = server('errors', () => Promise.reject(error));
  await start();
  equal((await ask(path, formatRequest({ command: 'STATUS' }))).code, 100);
  error = new Error('surprise');
  equal((await ask(path, formatRequest({ command: 'STATUS' }))).code, 11);
  await stop();
});

test('a stop waits for the request in hand', async () => {
  const gate = Promise.withResolvers<void>();
  const asking = Promise.withResolvers<void>();
  const { path, start, stop } = server('stop', async () => {
    asking.resolve();
    await gate.promise;
    return { ok: true, result: undefined };
  });
  await start();
  const asked = ask(path, formatRequest({ command: 'STATUS' }));
  await asking.promise;
  const stopped = stop();
  gate.resolve();
  deepEqual(await asked, { ok: true });
  await stopped;
});

test('a socket left by a dead agent is taken over, one that answers is not, a file is not removed', async () => {
  const handle = async (): Promise<CniResponse> => ({ ok: true, result: undefined });
  const { path, start, stop } = server('stale', handle);
  await start();
  await rejects(createCniServer({ path, handle, log: quiet }).start(), /another agent answers/);
  await stop();
  const killed = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', killed]);
  equal((await stat(path)).isSocket(), true);
  const next = createCniServer({ path, handle, log: quiet });
  await next.start();
  deepEqual(await ask(path, formatRequest({ command: 'STATUS' })), { ok: true });
  await next.stop();
  await writeFile(path, '');
  await rejects(createCniServer({ path, handle, log: quiet }).start(), /is not a socket/);
});
