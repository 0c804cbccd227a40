// The plugin as the runtime sees it: an executable with an environment, stdin, stdout and an exit code. The agent is a
// scripted server on a Unix socket.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatResponse, parseRequest, type CniRequest, type CniResponse } from './protocol.ts';

const program = fileURLToPath(new URL('main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'manx-cni-'));
const path = join(folder, 'cni.sock');
const sockets = new Set<Socket>();
let server: Server;
let asked: CniRequest[] = [];
let answer: (socket: Socket, request: CniRequest) => void;

before(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      const request = parseRequest(bytes.toString());
      asked.push(request);
      answer(socket, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});
afterEach(() => {
  asked = [];
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});
after(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const respond = (response: CniResponse) => (socket: Socket) => void socket.end(formatResponse(response));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly tookMs: number;
}

function run(
  command: string | undefined,
  config: unknown,
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const started = performance.now();
  const cni = { CNI_CONTAINERID: 'abc', CNI_IFNAME: 'eth0', CNI_NETNS: '/var/run/netns/pod', ...env };
  const child = spawn(process.execPath, [program], {
    env: { ...cni, ...(command === undefined ? {} : { CNI_COMMAND: command }) },
  });
  let stdout = '';
  child.stdout.on('data', (chunk) => void (stdout += String(chunk)));
  child.stdin.on('error', () => undefined);
  child.stdin.end(typeof config === 'string' ? config : JSON.stringify(config));
  return new Promise((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, tookMs: performance.now() - started })),
  );
}

const config = { cniVersion: '1.0.0', name: 'manx', type: 'manx', socket: path };
const error = (outcome: Outcome): { code: number; msg: string } =>
  JSON.parse(outcome.stdout) as { code: number; msg: string };

test('ADD prints the result of the asked version and ends with 0', async () => {
  answer = respond({
    ok: true,
    result: {
      hostInterface: { name: 'mx1', mac: 'ee:ee:ee:ee:ee:ee' },
      podInterface: { name: 'eth0', netns: '/var/run/netns/pod', mtu: undefined },
      addresses: ['10.64.0.1'],
      routes: [],
    },
  });
  const outcome = await run('ADD', config);
  equal(outcome.code, 0);
  deepEqual((JSON.parse(outcome.stdout) as { ips: unknown }).ips, [{ address: '10.64.0.1/32', interface: 1 }]);
  deepEqual(asked, [
    { command: 'ADD', containerId: 'abc', ifname: 'eth0', netns: '/var/run/netns/pod', pod: undefined, mtu: undefined },
  ]);
});

test('DEL prints nothing and ends with 0, netns or not', async () => {
  answer = respond({ ok: true, result: undefined });
  const outcome = await run('DEL', config, { CNI_NETNS: '' });
  deepEqual([outcome.code, outcome.stdout], [0, '']);
});

test('the agent’s refusal is passed on with its code', async () => {
  answer = respond({ ok: false, code: 100, message: 'no address left in pool default-ipv4', details: undefined });
  const outcome = await run('ADD', config);
  equal(outcome.code, 1);
  deepEqual(error(outcome), { cniVersion: '1.0.0', code: 100, msg: 'no address left in pool default-ipv4' });
});

for (const command of ['ADD', 'DEL', 'STATUS']) {
  test(`${command} without an agent is code 11, try again`, async () => {
    const outcome = await run(command, { ...config, cniVersion: '1.1.0', socket: join(folder, 'absent.sock') });
    equal(outcome.code, 1);
    equal(error(outcome).code, 11);
    match(error(outcome).msg, /agent of this node is not running: there is no socket/);
  });
}

test('an agent that never answers costs the deadline, not more', async () => {
  answer = () => undefined;
  const outcome = await run('ADD', { ...config, timeoutSec: 0.5 });
  equal(error(outcome).code, 11);
  match(error(outcome).msg, /did not answer ADD in time/);
  ok(outcome.tookMs < 5000);
});

test('an agent that hangs up is code 11', async () => {
  answer = (socket) => void socket.destroy();
  const outcome = await run('ADD', config);
  equal(error(outcome).code, 11);
});

test('an answer beyond 64 KiB is refused', async () => {
  answer = (socket) => void socket.write('x'.repeat(70_000));
  const outcome = await run('ADD', config);
  equal(error(outcome).code, 11);
  match(error(outcome).msg, /longer than/);
});

test('an answer that is not JSON is code 6', async () => {
  answer = (socket) => void socket.end('hello\n');
  equal(error(await run('ADD', config)).code, 6);
});

test('stdin that is not JSON is code 6 and nobody is asked', async () => {
  equal(error(await run('ADD', '{')).code, 6);
  deepEqual(asked, []);
});

test('VERSION answers without an agent', async () => {
  const outcome = await run('VERSION', { cniVersion: '0.4.0' });
  equal(outcome.code, 0);
  deepEqual(JSON.parse(outcome.stdout), {
    cniVersion: '0.4.0',
    supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
});

test('without CNI_COMMAND it says what it is and ends with an error object', async () => {
  const outcome = await run(undefined, '');
  equal(outcome.code, 1);
  equal(error(outcome).code, 4);
});
