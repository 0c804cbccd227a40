// Which commands forget the connections of a pod, on a real `sh`; conntrack itself: test/kernel/felix-pods.test.ts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseIp } from '#net';
import { Connections } from './connections.ts';

const folder = mkdtempSync(join(tmpdir(), 'manx-connections-'));
after(() => rmSync(folder, { recursive: true }));

function scene(count: string, path: string) {
  writeFileSync(join(folder, 'count'), count);
  const scripts: string[] = [];
  const run = async (script: string) => {
    scripts.push(script);
    // As in the coprocess: what follows the script must still be reached.
    const done = spawnSync('/bin/sh', ['-c', `{ ${script}\n} </dev/null\nprintf %d $?`], {
      env: { PATH: path },
      encoding: 'utf8',
    });
    return { code: Number(done.stdout), stdout: '', stderr: done.stderr };
  };
  const shell = { run, stop: () => undefined, respawns: 0 };
  return { scripts, connections: new Connections(shell, join(folder, 'count')) };
}

test('a node that tracks nothing starts nothing', async () => {
  const { scripts, connections } = scene('0\n', '/nowhere');
  await connections.forget([parseIp('10.64.0.1')]);
  assert.deepEqual(scripts, []);
});

test('a node without the tool says so, and the shell lives on', async () => {
  const { connections } = scene('7\n', '/nowhere');
  await connections.forget([parseIp('10.64.0.1')]);
  assert.match(connections.fault ?? '', /conntrack is not installed/);
});

test('each address is forgotten as source, destination and reply source', async () => {
  writeFileSync(join(folder, 'conntrack'), `#!/bin/sh\necho "$@" >>${folder}/asked\nexit 1\n`, { mode: 0o755 });
  const { scripts, connections } = scene('7\n', folder);
  await connections.forget([parseIp('10.64.0.1'), parseIp('fd64::1')]);
  assert.equal(scripts.length, 1);
  assert.equal(connections.fault, undefined);
  const asked = spawnSync('cat', [join(folder, 'asked')], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n');
  const expected = ['--src', '--dst', '--reply-src'];
  assert.deepEqual(asked, [
    ...expected.map((filter) => `-D -f ipv4 ${filter} 10.64.0.1`),
    ...expected.map((filter) => `-D -f ipv6 ${filter} fd64::1`),
  ]);
});
