// `npm run test:fresh`: proves the bootstrap. Makes a Debian root with nothing but Node and npm (debootstrap, minbase),
// clones this repository's HEAD into it and runs `npm test` there, as a new user would. Needs root and debootstrap.
//
// The root is a folder under a temporary directory, entered with chroot inside new mount and pid
// namespaces: mounts made for it vanish with the process.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const suite = 'bookworm';
const packages = 'ca-certificates,git,xz-utils';
const keep = process.argv.includes('--keep');
const command = process.argv.includes('--demo') ? 'npm run demo' : 'npm test';

function fail(message: string): never {
  process.stderr.write(`test:fresh: ${message}\n`);
  process.exit(1);
}

function run(program: string, argv: readonly string[], options: { cwd?: string } = {}): void {
  process.stdout.write(`$ ${program} ${argv.join(' ')}\n`);
  const done = spawnSync(program, argv, { stdio: 'inherit', ...options });
  if (done.status !== 0) fail(`${program} ended with ${done.status ?? done.signal}`);
}

/** Node and npm as a user would have them: copied from this machine, outside of the repository. */
function copyNode(root: string): void {
  const cli = process.env['npm_execpath'] ?? '';
  const npm = dirname(dirname(cli));
  if (!existsSync(join(npm, 'bin/npm-cli.js'))) fail(`npm is not at ${npm}: start this with npm run test:fresh`);
  const system = spawnSync(
    'sh',
    ['-c', 'PATH=$(echo "$PATH" | tr : "\\n" | grep -v node_modules | paste -sd:) command -v node'],
    { encoding: 'utf8' },
  );
  cpSync(system.stdout.trim(), join(root, 'usr/local/bin/node'), { dereference: true });
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true, dereference: true });
  writeFileSync(
    join(root, 'usr/local/bin/npm'),
    '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n',
    { mode: 0o755 },
  );
}

/** What lets this machine reach its registries: resolver, hosts, certificates, apt sources, npm configuration. */
function copyNetworkSettings(root: string): void {
  const home = process.env['HOME'] ?? '/root';
  const files = [
    '/etc/resolv.conf',
    '/etc/hosts',
    '/etc/apt/sources.list',
    '/etc/apt/sources.list.d',
    '/etc/apt/apt.conf.d',
  ];
  for (const file of [...files, '/etc/ssl/certs', '/usr/local/share/ca-certificates']) {
    if (existsSync(file)) cpSync(file, join(root, file), { recursive: true, dereference: true, force: true });
  }
  if (existsSync(join(home, '.npmrc'))) cpSync(join(home, '.npmrc'), join(root, 'root/.npmrc'));
}

if (process.getuid?.() !== 0) fail('debootstrap and chroot need root');
if (spawnSync('debootstrap', ['--version']).error !== undefined)
  fail('debootstrap is not installed: apt-get install debootstrap');

const work = mkdtempSync(join(tmpdir(), 'manx-fresh-'));
const root = join(work, 'root');
try {
  run('debootstrap', ['--variant=minbase', `--include=${packages}`, suite, root]);
  copyNode(root);
  copyNetworkSettings(root);
  mkdirSync(join(root, 'src'), { recursive: true });
  run('git', ['clone', '--quiet', '--no-hardlinks', process.cwd(), join(root, 'src/manx')]);
  const script = [
    'set -e',
    // `ip netns` makes / a slave mount, so / must be a mount point in there too.
    `mount --bind ${root} ${root}`,
    `mount -t proc proc ${root}/proc`,
    `mount -t sysfs sysfs ${root}/sys`,
    `mount -t tmpfs tmpfs ${root}/run`,
    `mount --rbind /dev ${root}/dev`,
    `exec chroot ${root} sh -c 'cd /src/manx && ${command}'`,
  ].join('\n');
  run('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script]);
  process.stdout.write(`test:fresh: \`${command}\` passed on a fresh ${suite} root\n`);
} finally {
  if (keep) process.stdout.write(`kept: ${work}\n`);
  else rmSync(work, { recursive: true, force: true });
}
