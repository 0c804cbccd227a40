/**
 * One server, one address, many network namespaces: a socket made in a namespace is served by the server outside it, at
 * the start and at run time, and lets go of the namespace when it is told to. Needs root and iproute2.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { makeDataDir, removeDataDir, type ServerProcess, startServer } from './server-process.ts';

const execute = promisify(execFile);

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'left out: not root';
  try {
    execFileSync('ip', ['-V'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'left out: no ip';
  }
}

const namespaces = [`mxt-${process.pid}-a`, `mxt-${process.pid}-b`];

async function control(server: ServerProcess, method: string, name: string): Promise<{ code: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const call = request({ socketPath: server.controlSocket, path: `/netns/${name}`, method }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ code: response.statusCode ?? 0, body }));
    });
    call.once('error', reject);
    call.end();
  });
}

/** Asks the server from inside a namespace, with Node itself as the client. */
async function askFrom(namespace: string, server: ServerProcess): Promise<string> {
  const script = `fetch('${server.url}/api/v1/namespaces/default').then((r) => r.json()).then((b) => console.log(b.metadata.name)).catch((e) => console.log('failed ' + e.cause?.code))`;
  const { stdout } = await execute('ip', ['netns', 'exec', namespace, process.execPath, '-e', script]);
  return stdout.trim();
}

describe('network namespaces', { skip: reasonToSkip() }, () => {
  let server: ServerProcess;
  let dataDir = '';
  before(async () => {
    for (const name of namespaces) {
      await execute('ip', ['netns', 'add', name]);
      await execute('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    dataDir = await makeDataDir();
    server = await startServer({ dataDir, netns: namespaces.slice(0, 1) });
  });
  after(async () => {
    await server.stop();
    await removeDataDir(dataDir);
    for (const name of namespaces) await execute('ip', ['netns', 'del', name]);
  });

  test('given at the start are served on the same address', async () => {
    assert.equal(await askFrom(namespaces[0] ?? '', server), 'default');
  });

  test('are added and dropped at run time', async () => {
    const name = namespaces[1] ?? '';
    assert.equal(await askFrom(name, server), 'failed ECONNREFUSED');
    assert.equal((await control(server, 'POST', name)).code, 204);
    assert.equal(await askFrom(name, server), 'default');
    assert.equal((await control(server, 'DELETE', name)).code, 204);
    assert.equal(await askFrom(name, server), 'failed ECONNREFUSED');
  });

  test('that are deleted are let go, so that their links vanish with them', async () => {
    const name = `mxt-${process.pid}-c`;
    const stays = namespaces[0] ?? '';
    await execute('ip', ['netns', 'add', name]);
    await execute('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    await execute('ip', ['-n', stays, 'link', 'add', 'toc', 'type', 'veth', 'peer', 'name', 'toa', 'netns', name]);
    assert.equal((await control(server, 'POST', name)).code, 204);
    // A client that keeps its connection open would keep the namespace alive as well.
    const script = `fetch('${server.url}/api/v1/namespaces?watch=true').then((r) => { console.log('open'); return r.text(); }).catch(() => undefined)`;
    const client = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(client.stdout, 'data');
    const ended = once(client, 'close');
    await execute('ip', ['netns', 'del', name]);
    await ended;
    const deadline = Date.now() + 5_000;
    let links = '';
    do {
      ({ stdout: links } = await execute('ip', ['-n', stays, '-br', 'link']));
    } while (links.includes('toc') && Date.now() < deadline);
    assert.ok(!links.includes('toc'), links);
  });

  test('that do not exist are refused by name', async () => {
    const { code, body } = await control(server, 'POST', `mxt-${process.pid}-none`);
    assert.equal(code, 400);
    assert.match(body, /cannot listen in network namespace mxt-\d+-none/);
  });
});
