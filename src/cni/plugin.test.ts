// The plugin as the runtime sees it: an executable with an environment, stdin, stdout and an exit code. The agent is a
// scripted server on a Unix socket.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test as nodeTest } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileClient } from '../../scripts/cni-client.ts';
import { formatAnswer, maxConfigBytes, parseCall, type CniAnswer, type CniCall } from './wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'manx-cni-'));
const path = join(folder, 'cni.sock');
const compiled = compileClient(join(folder, 'client'));
const program = fileURLToPath(new URL('main.ts', import.meta.url));

interface Client {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  readonly skip: { readonly skip?: string };
}
const clients: readonly Client[] = [
  { name: 'TypeScript', argv: [process.execPath, program], skip: {} },
  { name: 'C', argv: [join(folder, 'client')], skip: compiled.ok ? {} : { skip: `no C client: ${compiled.reason}` } },
];

const sockets = new Set<Socket>();
let server: Server;
let asked: CniCall[] = [];
let answer: (socket: Socket) => void;

before(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString();
      if (!text.endsWith('\n')) return;
      asked.push(parseCall(text));
      answer(socket);
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

const respond = (response: CniAnswer) => (socket: Socket) => void socket.end(formatAnswer(response));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly tookMs: number;
}

function execute(
  [file, ...args]: Client['argv'],
  command: string | undefined,
  { config, env = {} }: { config: unknown; env?: Readonly<Record<string, string>> | undefined },
): Promise<Outcome> {
  const started = performance.now();
  const cni = { CNI_CONTAINERID: 'abc', CNI_IFNAME: 'eth0', CNI_NETNS: '/var/run/netns/pod', ...env };
  const child = spawn(file, args, {
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

for (const client of clients) {
  const test = (name: string, body: () => Promise<void>): void =>
    void nodeTest(`${client.name}: ${name}`, client.skip, body);
  const run = (command: string | undefined, stdin: unknown, env?: Readonly<Record<string, string>>): Promise<Outcome> =>
    execute(client.argv, command, { config: stdin, env });

  test('ADD forwards environment and configuration as they are, prints the answer and ends with 0', async () => {
    answer = respond({ ok: true, stdout: '{"cniVersion":"1.0.0"}' });
    const text = `${JSON.stringify(config, undefined, 2)} \n`;
    const outcome = await run('ADD', text, { CNI_ARGS: 'K8S_POD_NAME=a"b\\c\u00e9', PATH: '/x' });
    deepEqual([outcome.code, outcome.stdout], [0, '{"cniVersion":"1.0.0"}\n']);
    const { env, config: forwarded } = asked[0] ?? { env: {}, config: '' };
    equal(forwarded, text);
    deepEqual(
      { ...env },
      {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'abc',
        CNI_IFNAME: 'eth0',
        CNI_NETNS: '/var/run/netns/pod',
        CNI_ARGS: 'K8S_POD_NAME=a"b\\c\u00e9',
      },
    );
  });

  test('a success without a result prints nothing and ends with 0', async () => {
    answer = respond({ ok: true, stdout: '' });
    const outcome = await run('DEL', config, { CNI_NETNS: '' });
    deepEqual([outcome.code, outcome.stdout], [0, '']);
  });

  test('the agent\u2019s refusal is printed and ends with 1', async () => {
    answer = respond({ ok: false, stdout: '{"cniVersion":"1.0.0","code":100,"msg":"no address left"}' });
    const outcome = await run('ADD', config);
    equal(outcome.code, 1);
    equal(error(outcome).code, 100);
  });

  test('a configuration of 200 KB arrives whole, one beyond the limit is refused', async () => {
    answer = respond({ ok: true, stdout: '' });
    const valid = Array.from({ length: 2000 }, (_, i) => ({ containerID: String(i).repeat(20), ifname: 'eth0' }));
    const large = JSON.stringify({ ...config, 'cni.dev/valid-attachments': valid });
    equal((await run('GC', large)).code, 0);
    equal(asked[0]?.config, large);
    const outcome = await run('GC', JSON.stringify({ ...config, filler: 'x'.repeat(maxConfigBytes) }));
    deepEqual([outcome.code, error(outcome).code], [1, 6]);
  });

  for (const command of ['ADD', 'DEL', 'STATUS']) {
    test(`${command} without an agent is code 11, try again`, async () => {
      const outcome = await run(command, { ...config, cniVersion: '1.1.0', socket: join(folder, 'absent.sock') });
      equal(outcome.code, 1);
      deepEqual(error(outcome), {
        cniVersion: '1.1.0',
        code: 11,
        msg: `the Manx agent of this node is not running: there is no socket at ${join(folder, 'absent.sock')}`,
      });
    });
  }

  test('an agent that never answers costs the deadline, not more', async () => {
    answer = () => undefined;
    const outcome = await run('ADD', { ...config, timeoutSec: 0.5 });
    equal(error(outcome).code, 11);
    match(error(outcome).msg, /did not answer in time/);
    ok(outcome.tookMs > 400 && outcome.tookMs < 5000);
  });

  test('an agent that hangs up is code 11', async () => {
    answer = (socket) => void socket.destroy();
    const outcome = await run('ADD', config);
    equal(error(outcome).code, 11);
  });

  test('an answer beyond 64 KiB is refused', async () => {
    answer = (socket) => void socket.write('0 '.repeat(35_000));
    const outcome = await run('ADD', config);
    equal(error(outcome).code, 11);
    match(error(outcome).msg, /longer than/);
  });

  for (const shape of ['hello\n', '2 {}\n', '\n']) {
    test(`an answer of another shape is code 6: ${JSON.stringify(shape)}`, async () => {
      answer = (socket) => void socket.end(shape);
      equal(error(await run('ADD', config)).code, 6);
    });
  }

  const undecodable = [
    '',
    '{',
    '{"a":}',
    '{"a":1,}',
    '{"a":1} x',
    '[1',
    '{"a"}',
    '{"\u0001":1}',
    '[]',
    '"x"',
    '{"a":"\\',
    '['.repeat(5000),
  ];
  for (const stdin of undecodable) {
    test(`stdin that is no configuration is code 6 and nobody is asked: ${JSON.stringify(stdin.slice(0, 20))}`, async () => {
      equal(error(await run('ADD', stdin)).code, 6);
      deepEqual(asked, []);
    });
  }

  const unreachable: readonly (readonly [string, object, RegExp])[] = [
    ['a relative socket', { socket: 'x.sock' }, /socket: expected an absolute path/],
    ['a socket that is no text', { socket: 7 }, /socket/],
    ['a socket path too long', { socket: `/${'x'.repeat(107)}` }, /socket/],
    ['a socket path that is not ASCII', { socket: '/caf\u00e9' }, /socket/],
    ['a socket path with a quote', { socket: '/a"b' }, /socket/],
    ['a deadline beyond that of the kubelet', { timeoutSec: 300 }, /timeoutSec: expected seconds/],
    ['no time at all', { timeoutSec: 0 }, /timeoutSec/],
    ['a deadline that is no number', { timeoutSec: '5' }, /timeoutSec/],
  ];
  for (const [name, fields, message] of unreachable) {
    test(`${name} is code 7`, async () => {
      const outcome = await run('ADD', { ...config, ...fields });
      equal(error(outcome).code, 7);
      match(error(outcome).msg, message);
    });
  }

  test('only members of the configuration itself count', async () => {
    answer = respond({ ok: true, stdout: '' });
    const nested = {
      ipam: { socket: '/nowhere', timeoutSec: 999 },
      list: [{ socket: '/nowhere' }],
      text: '"socket":"/nowhere"',
    };
    equal((await run('ADD', { ...nested, ...config, ...nested })).code, 0);
  });

  const versions: readonly (readonly [string, string])[] = [
    ['{"cniVersion":"0.4.0"}', '0.4.0'],
    ['', '1.1.0'],
    [' \n', '1.1.0'],
    ['{}', '1.1.0'],
    ['{"cniVersion":7}', '1.1.0'],
    ['{"cniVersion":"a\\"b"}', '1.1.0'],
    ['{"x":{"cniVersion":"0.1.0"},"cniVersion" : "1.0.0" }', '1.0.0'],
  ];
  for (const [stdin, version] of versions) {
    test(`VERSION answers without an agent: ${JSON.stringify(stdin)} is ${version}`, async () => {
      const outcome = await run('VERSION', stdin);
      equal(outcome.code, 0);
      deepEqual(JSON.parse(outcome.stdout), {
        cniVersion: version,
        supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
      });
    });
  }

  test('without CNI_COMMAND it says so in an error object', async () => {
    const outcome = await run(undefined, '');
    equal(outcome.code, 1);
    equal(error(outcome).code, 4);
  });
}
