// The first step of `npm test` and `npm run demo` on a machine where nothing is installed yet.
//
// Plain JavaScript for Node 18 and later, with no node_modules: it brings in the npm packages of the lockfile and the
// Debian packages that the command needs, then hands over to the pinned Node (engines: >=24), which runs the
// TypeScript sources. A second run costs two file comparisons and one dpkg-query.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [command, ...args] = process.argv.slice(2);

/** What each command runs, and the Debian packages it wants: name → the program that shows it is there. */
const base = { iproute2: 'ip', nftables: 'nft', bird2: 'bird', 'iputils-ping': 'ping' };
/** The other routers of test/interop, what the tests look with, and a compiler for the C client of the CNI plugin. */
const peers = {
  frr: 'vtysh',
  gobgpd: 'gobgpd',
  openbgpd: 'bgpctl',
  tcpdump: 'tcpdump',
  conntrack: 'conntrack',
  gcc: 'gcc',
  'libc6-dev': 'gcc',
};
const commands = {
  demo: { entry: 'src/lab/demo/main.ts', packages: base, needsRoot: true },
  test: { entry: 'scripts/run-tests.ts', packages: { ...base, ...peers }, needsRoot: false },
};

/** Packages that bring a service, and its unit. */
const services = { bird2: 'bird.service', frr: 'frr.service', gobgpd: 'gobgpd.service', openbgpd: 'openbgpd.service' };

const EX_CONFIG = 78;

function fail(message, code = 1) {
  process.stderr.write(`bootstrap: ${message}\n`);
  process.exit(code);
}

function run(program, argv, options = {}) {
  return spawnSync(program, argv, { cwd: root, stdio: 'inherit', ...options });
}

function sameFile(a, b) {
  return existsSync(a) && existsSync(b) && readFileSync(a).equals(readFileSync(b));
}

/** npm packages, from the lockfile. `npm ci` first; a registry that lacks a platform build needs `npm install --no-save`. */
function installNpmPackages() {
  const lock = join(root, 'package-lock.json');
  const stamp = join(root, 'node_modules', '.manx-lock');
  if (sameFile(lock, stamp)) return;
  process.stderr.write('bootstrap: installing npm packages from package-lock.json\n');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = (argv) =>
    process.env.npm_execpath ? run(process.execPath, [process.env.npm_execpath, ...argv]) : run('npm', argv);
  if (npm(['ci', ...flags]).status !== 0) {
    process.stderr.write('bootstrap: npm ci did not pass, trying npm install --no-save\n');
    if (npm(['install', '--no-save', ...flags]).status !== 0)
      fail('npm could not install the packages of package-lock.json');
  }
  copyFileSync(lock, stamp);
}

function hasProgram(name) {
  const paths = `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/local/sbin`.split(':');
  return paths.some((dir) => dir !== '' && existsSync(join(dir, name)));
}

/**
 * Runs `work` while package scripts are told not to start services (policy-rc.d, exit 101), and disables those units that
 * came with it: installing a router for a test must not start one on the user's machine. What was there stays as it was.
 */
function withoutServices(packages, work) {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return work();
  } finally {
    if (ours) rmSync(policy, { force: true });
    const units = packages.map((name) => services[name]).filter((unit) => unit !== undefined);
    if (units.length > 0 && existsSync('/run/systemd/system')) run('systemctl', ['disable', '--quiet', ...units]);
  }
}

function installDebianPackages(packages) {
  const missing = Object.keys(packages).filter((name) => !hasProgram(packages[name]));
  if (missing.length === 0) return;
  const list = missing.join(' ');
  if (!hasProgram('apt-get'))
    return void process.stderr.write(`bootstrap: not a Debian system; please install: ${list}\n`);
  if (process.getuid() !== 0) return void process.stderr.write(`bootstrap: not root, so not installing: ${list}\n`);
  process.stderr.write(`bootstrap: installing Debian packages: ${list}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  withoutServices(missing, () => {
    run('apt-get', ['update', '-qq'], quiet);
    const done = run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], quiet);
    if (done.status !== 0) process.stderr.write(`bootstrap: apt-get could not install: ${list}\n`);
  });
}

/** The Node of the lockfile when this platform has one, else this one when it is new enough. */
function pinnedNode() {
  const binary = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (existsSync(binary)) return binary;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(
    `no Node 24 for ${process.platform}/${process.arch} in the lockfile, and this one is ${process.version}`,
    EX_CONFIG,
  );
}

const chosen = commands[command];
if (chosen === undefined) fail(`unknown command ${command}; expected one of: ${Object.keys(commands).join(', ')}`, 64);
if (process.platform !== 'linux') fail(`Manx needs Linux (network namespaces), this is ${process.platform}`, EX_CONFIG);
if (chosen.needsRoot && process.getuid() !== 0) {
  fail(`npm run ${command} makes network namespaces and needs root: try \`sudo npm run ${command}\``, 77);
}
installNpmPackages();
installDebianPackages(chosen.packages);
const node = pinnedNode();
const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
const done = run(node, [chosen.entry, ...args], { env });
process.exit(done.status ?? 1);
