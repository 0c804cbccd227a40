// What the agent keeps on the node: records, the last good configuration, the installed files. Torn files are never believed.
import { deepEqual, equal, match } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Workload } from '#felix';
import { parseIp, parsePrefix } from '#net';
import { writeDurably } from './files.ts';
import { firstForeign, install, networkConfiguration, pluginFile, pluginScript } from './installer.ts';
import { formatSnapshot, openSnapshotFile, parseSnapshot, type Snapshot } from './snapshot.ts';
import { formatRecord, openWorkloads, parseRecord } from './workloads.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'manx-state-'));
});
after(() => rm(folder, { recursive: true }));

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => quiet };
const tools = { log: quiet, changed: () => {} } as unknown as Parameters<typeof openWorkloads>[0];

const workload: Workload = {
  containerId: 'c1',
  ifname: 'eth0',
  netns: '/run/netns/p',
  hostInterface: 'mx1',
  addresses: [parseIp('10.64.0.1')],
};

test('a record truncated anywhere is not believed', () => {
  const text = formatRecord(workload);
  deepEqual(parseRecord(text), workload);
  for (let length = 0; length < text.length - 2; length += 1) equal(parseRecord(text.slice(0, length)), undefined);
  for (const other of ['null', '[]', '{}', '{"version":1}', '{"version":2,"workload":{}}'])
    equal(parseRecord(other), undefined);
});

test('records survive a restart; one that cannot be read makes the table incomplete and stays', async () => {
  const path = join(folder, 'workloads');
  const first = await openWorkloads(tools, path);
  await first.put(workload);
  const second = await openWorkloads(tools, path);
  deepEqual([second.complete, second.all()], [true, [workload]]);
  await writeFile(join(path, 'torn.json'), '{"version":1,"wor');
  const third = await openWorkloads(tools, path);
  deepEqual([third.complete, third.all()], [false, [workload]]);
  await third.remove(workload);
  deepEqual(await readdir(path), ['torn.json']);
});

test('what an interrupted write left is removed at the next start, and nothing else', async () => {
  const path = join(folder, 'interrupted');
  await openWorkloads(tools, path);
  await writeFile(join(path, 'c1.eth0.json.0123abcd.tmp'), '{"ver');
  await writeFile(join(path, 'notes.tmp'), 'mine');
  await openWorkloads(tools, path);
  deepEqual(await readdir(path), ['notes.tmp']);
});

test('a container id too long for a file name still has its record', async () => {
  const path = join(folder, 'long');
  const workloads = await openWorkloads(tools, path);
  await workloads.put({ ...workload, containerId: 'c'.repeat(253) });
  equal((await openWorkloads(tools, path)).all().length, 1);
});

const snapshot: Snapshot = {
  view: {
    nodes: [{ name: 'a', labels: {}, annotations: {}, internalIps: [parseIp('192.0.2.1')] }],
    pools: [],
    reserved: [],
    peers: [],
    bgp: { as: 64512, mesh: true, listenPort: 179 },
    ipam: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, cooldownSec: 0 },
  },
  blocks: [parsePrefix('10.64.0.0/26')],
};

test('a snapshot truncated or changed anywhere is not believed', () => {
  const text = formatSnapshot(snapshot);
  deepEqual(parseSnapshot(text), snapshot);
  for (let length = 0; length < text.length - 1; length += 1) equal(parseSnapshot(text.slice(0, length)), undefined);
  equal(parseSnapshot(text.replace('10.64.0.0', '10.65.0.0')), undefined);
});

test('the snapshot is private, survives a restart and is not written again unchanged', async () => {
  const file = await openSnapshotFile(folder, quiet);
  await file.write(snapshot);
  const path = join(folder, 'last-good.json');
  const { mode, mtimeMs, ino } = await stat(path);
  equal(mode & 0o777, 0o600);
  const again = await openSnapshotFile(folder, quiet);
  deepEqual(again.last, snapshot);
  await again.write(snapshot);
  deepEqual([(await stat(path)).mtimeMs, (await stat(path)).ino], [mtimeMs, ino]);
});

test('a failed write leaves the old content and no temporary file', async () => {
  const path = join(folder, 'kept');
  await writeDurably(path, 'old', 0o600);
  await writeDurably(join(folder, 'absent', 'file'), 'new', 0o600).catch((error: NodeJS.ErrnoException) =>
    equal(error.code, 'ENOENT'),
  );
  equal(await readFile(path, 'utf8'), 'old');
  deepEqual(
    (await readdir(folder)).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('the installed plugin runs, whatever the PATH, and the configuration names our socket', async () => {
  const options = { confDir: join(folder, 'net.d'), binDir: join(folder, 'bin'), socket: '/run/x/cni.sock' };
  equal(await install(options), undefined);
  const env = { CNI_COMMAND: 'VERSION', NODE_OPTIONS: '--this-would-fail' };
  const answer = execFileSync(join(options.binDir, 'manx'), { env, input: '{"cniVersion":"1.0.0"}' }).toString();
  match(answer, /supportedVersions/);
  const list = JSON.parse(await readFile(join(options.confDir, '10-manx.conflist'), 'utf8')) as { plugins: unknown };
  deepEqual(list.plugins, [{ type: 'manx', socket: '/run/x/cni.sock' }]);
});

test('a built C client is installed, unless it speaks another protocol', async () => {
  const built = join(folder, 'cni-client');
  const wrapper = await pluginFile([pathToFileURL(join(folder, 'absent'))]);
  match(wrapper.toString(), /^#!\/bin\/sh\n/);
  await writeFile(built, 'ELF {"protocol":2,"env"');
  equal((await pluginFile([pathToFileURL(built)])).toString(), 'ELF {"protocol":2,"env"');
  await writeFile(built, 'ELF {"protocol":1,"env"');
  deepEqual(await pluginFile([pathToFileURL(built)]), wrapper);
});

test('a foreign configuration that sorts first is named and left alone', async () => {
  const options = { confDir: join(folder, 'net.d'), binDir: join(folder, 'bin'), socket: '/run/x/cni.sock' };
  await writeFile(join(options.confDir, '05-other.conflist'), 'other');
  equal(await install(options), '05-other.conflist');
  equal(await readFile(join(options.confDir, '05-other.conflist'), 'utf8'), 'other');
  equal(firstForeign(['10-manx.conflist', '99-x.conf', '00-readme.txt']), undefined);
});

test('the configuration is one that old and new runtimes read', () => {
  const list = JSON.parse(networkConfiguration('/s')) as { cniVersion: string; cniVersions: string[] };
  equal(list.cniVersion, '1.0.0');
  equal(list.cniVersions.at(-1), '1.1.0');
});

test('a path with a quote stays one word in the plugin script', () => {
  match(pluginScript("/opt/o'k/node", '/x/main.ts'), /exec '\/opt\/o'\\''k\/node' '\/x\/main.ts'/);
});
