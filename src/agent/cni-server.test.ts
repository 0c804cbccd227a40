// The agent's socket: who may use it, what it refuses, and that it answers whoever asked.
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CniError, formatCall, maxRequestBytes, type CniHandler, type CniResponse } from '#cni-protocol';
import { createCniServer } from './cni-server.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-socket-'));
});
after(() => rm(folder, { recursive: true }));

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };

function server(name: string, handle: CniHandler) {
  const path = join(folder, name, 'cni.sock');
  return { path, ...createCniServer({ path, handle, log: quiet }) };
}

const call = (command: string, env: Record<string, string> = {}): string =>
  formatCall({ env: { CNI_COMMAND: command, ...env }, config: '{"cniVersion":"1.1.0","name":"manx"}' });
const status = call('STATUS');

interface Outcome {
  readonly ok: boolean;
  readonly code?: number;
  readonly msg?: string;
}

function ask(path: string, text: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    let answer = '';
    socket.on('data', (chunk) => void (answer += String(chunk)));
    socket.on('end', () => {
      const printed = answer.slice(2).trim();
      resolve({ ok: answer.startsWith('0 '), ...(printed === '' ? {} : (JSON.parse(printed) as object)) });
    });
    socket.on('error', reject);
    socket.write(text);
  });
}

test('the folder is 0750, the socket 0660, and a request is answered', async () => {
  const { path, start, stop } = server('modes', async () => ({ ok: true, result: undefined }));
  await start();
  equal((await stat(path)).mode & 0o777, 0o660);
  equal((await stat(join(path, '..'))).mode & 0o777, 0o750);
  deepEqual(await ask(path, status), { ok: true });
  await stop();
});

const answers: readonly { name: string; text: string; code: number; message: RegExp }[] = [
  { name: 'not JSON', text: 'hello\n', code: 6, message: /not JSON/ },
  { name: 'another protocol', text: '{"protocol":1,"command":"STATUS"}\n', code: 6, message: /protocol 1/ },
  { name: 'a call without environment', text: '{"protocol":2,"config":""}\n', code: 6, message: /expected env/ },
  {
    name: 'a configuration that is not JSON',
    text: '{"protocol":2,"env":{},"config":"{"}\n',
    code: 6,
    message: /not JSON/,
  },
  {
    name: 'a path as container id',
    text: call('DEL', { CNI_CONTAINERID: '../x', CNI_IFNAME: 'eth0' }),
    code: 4,
    message: /CNI_CONTAINERID/,
  },
  { name: 'more than 1 MiB', text: 'x'.repeat(maxRequestBytes + 1), code: 6, message: /longer than/ },
];
for (const { name, text, code, message } of answers) {
  test(`refused with code ${code}: ${name}`, async () => {
    const { path, start, stop } = server('refused', () => Promise.reject(new Error('must not be asked')));
    await start();
    const answer = await ask(path, text);
    equal(answer.code, code);
    match(answer.msg ?? '', message);
    await stop();
  });
}

test('an error of a verb becomes its answer, an unexpected one code 11', async () => {
  let error: Error = new CniError(100, 'no address left');
  const { path, start, stop } = server('errors', () => Promise.reject(error));
  await start();
  equal((await ask(path, status)).code, 100);
  error = new Error('surprise');
  equal((await ask(path, status)).code, 11);
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
  const asked = ask(path, status);
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
  deepEqual(await ask(path, status), { ok: true });
  await next.stop();
  await writeFile(path, '');
  await rejects(createCniServer({ path, handle, log: quiet }).start(), /is not a socket/);
});
