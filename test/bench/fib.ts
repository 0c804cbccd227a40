// 100,000 learned routes into the kernel: ours by iproute2 and by netlink, BIRD's kernel protocol and `ip -batch` in the same
// run, each in a namespace of its own, interleaved. Also: one change, one next hop's gateway under all of them, an audit.
// Done is when /proc/net/fib_triestat counts them all. Ours is timed from applyLearned(), BIRD from `birdc enable`
// of a static protocol whose routes are parsed already.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { createFelix, defaultFelixSettings, type Felix } from '#felix';
import { openNetlinkBackend } from '#libc';
import { type Ip, parseIp, type Prefix, parsePrefix } from '#net';
import { systemTimers } from '#observe';
import { Namespace } from '../support/namespaces.ts';

const COUNT = Number(process.env['MANX_TEST_FIB_ROUTES'] ?? 100_000);
const ROUNDS = Number(process.env['MANX_TEST_FIB_ROUNDS'] ?? 3);
const CHANGES = 200;
const BACKEND = process.env['MANX_TEST_FIB_BACKEND'];

type Figures = Readonly<Record<string, number>>;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const prefixAt = (i: number): string => `${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;

/** Prefixes in the main table of the namespace of a process. */
function routesOf(pid: number | 'self'): number {
  const text = readFileSync(`/proc/${pid}/net/fib_triestat`, 'utf8');
  return Number(/Main:[\s\S]*?Prefixes:\s+(\d+)/.exec(text)?.[1] ?? 0);
}

async function untilRoutes(pid: number | 'self', isEnough: (count: number) => boolean): Promise<void> {
  while (!isEnough(routesOf(pid))) await pause(5);
}

const underlay = `
  ip link add up0 type veth peer name up1; ip link set up1 up; ip link set up0 up; ip addr add 172.18.0.2/24 dev up0
  ip route add 203.0.113.0/24 via 172.18.0.3`;

/** In the namespace: one Felix through all stages; prints its figures. */
async function runFelix(backend: string): Promise<void> {
  const silent = () => undefined;
  const felix = createFelix({
    settings: { ...defaultFelixSettings, resyncMs: 3_600_000 },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    timers: systemTimers,
    random: Math.random,
    routeBackend: async (ownership) => {
      if (backend !== 'netlink') return undefined;
      const opened = await openNetlinkBackend(ownership);
      if ('reason' in opened) throw new Error(opened.reason);
      return opened;
    },
  });
  await felix.start();
  felix.setNode({ addresses: [parseIp('172.18.0.2')] });
  felix.setBlocks([], true);
  felix.setLearned([], true);
  felix.setWorkloads([], true);
  felix.setPools([], true);
  await felix.settled();
  await pause(1500);
  const figures: Record<string, number> = {};
  const nextHops = [parseIp('203.0.113.9')];
  const changes = Array.from({ length: COUNT }, (_, i) => ({ prefix: parsePrefix(prefixAt(i)), nextHops }));
  const before = routesOf('self');
  figures['add'] = await timed(async () => {
    felix.applyLearned({ changes, inSync: true });
    await untilRoutes('self', (count) => count >= before + COUNT);
  }, figures);
  await felix.settled();
  await pause(1500);
  figures['change'] = await oneChange(felix, nextHops);
  figures['gateway'] = await gatewayChange(felix);
  await felix.settled();
  await pause(500);
  figures['audit'] = await audit(felix, figures);
  const all: readonly Prefix[] = changes.map(({ prefix }) => prefix);
  const withdrawal = all.map((prefix) => ({ prefix, nextHops: [] as Ip[] }));
  const start = performance.now();
  felix.applyLearned({ changes: withdrawal, inSync: true });
  // The audit's address is a prefix more.
  await untilRoutes('self', (count) => count <= before + 1);
  figures['withdraw'] = performance.now() - start;
  await felix.stop();
  process.stdout.write(JSON.stringify(figures));
}

async function timed(work: () => Promise<void>, figures: Record<string, number>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  await work();
  const tookMs = performance.now() - start;
  delay.disable();
  figures['addBlock'] = delay.max / 1e6;
  return tookMs;
}

/** p50 of a route that comes or goes among all the others, from applyLearned() to the kernel's acknowledgement. */
async function oneChange(felix: Felix, nextHops: readonly Ip[]): Promise<number> {
  const prefix = parsePrefix('192.0.2.0/24');
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i += 1) {
    const start = performance.now();
    felix.applyLearned({ changes: [{ prefix, nextHops: i % 2 === 0 ? nextHops : [] }], inSync: true });
    await felix.settled();
    times.push(performance.now() - start);
    await pause(8);
  }
  return median(times);
}

/** From before `ip route replace` of the route that the next hop resolves through to the kernel holding the new gateway. */
async function gatewayChange(felix: Felix): Promise<number> {
  const written = felix.status().counters.commands;
  const start = performance.now();
  spawnSync('ip', ['route', 'replace', '203.0.113.0/24', 'via', '172.18.0.4']);
  while (felix.status().counters.commands === written) await pause(1);
  const tookMs = performance.now() - start;
  await felix.settled();
  const shown = spawnSync('ip', ['route', 'get', '11.0.5.1'], { encoding: 'utf8' }).stdout;
  if (!shown.includes('via 172.18.0.4')) throw new Error(`the gateway did not change: ${shown}`);
  return tookMs;
}

/** A reading of everything that finds nothing, from its cause to its end, and the longest time the loop was blocked. */
async function audit(felix: Felix, figures: Record<string, number>): Promise<number> {
  const { readBacks } = felix.status().counters;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  spawnSync('ip', ['addr', 'add', '192.0.2.99/32', 'dev', 'lo']);
  const start = performance.now();
  delay.enable();
  while (felix.status().counters.readBacks === readBacks) await pause(1);
  await felix.settled();
  const tookMs = performance.now() - start;
  delay.disable();
  figures['auditBlock'] = delay.max / 1e6;
  return tookMs;
}

function runOurs(backend: string): Figures {
  const namespace = new Namespace(backend);
  try {
    namespace.sh(underlay);
    const script = fileURLToPath(import.meta.url);
    const done = spawnSync('nsenter', [`--net=${namespace.path}`, process.execPath, script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, MANX_TEST_FIB_BACKEND: backend },
      timeout: 90_000,
    });
    if (done.status !== 0) throw new Error(`${backend} ended with ${done.status ?? done.signal}`);
    return JSON.parse(done.stdout) as Figures;
  } finally {
    namespace.remove();
  }
}

async function runBird(): Promise<number> {
  const namespace = new Namespace('bird');
  const directory = mkdtempSync(join(tmpdir(), 'mxt-fib-'));
  const routes = Array.from({ length: COUNT }, (_, i) => `route ${prefixAt(i)} via 172.18.0.3;`).join('\n');
  const [config, socket] = [join(directory, 'bird.conf'), join(directory, 'bird.ctl')];
  writeFileSync(
    config,
    `router id 172.18.0.2;\nprotocol device {}\nprotocol kernel { scan time 3600; ipv4 { export all; }; }\n` +
      `protocol static feed { disabled yes; ipv4;\n${routes}\n}\n`,
  );
  namespace.sh(underlay);
  const bird = spawn('nsenter', [`--net=${namespace.path}`, 'bird', '-f', '-c', config, '-s', socket], {
    stdio: 'ignore',
  });
  try {
    const ask = (...words: string[]) => spawnSync('birdc', ['-s', socket, ...words], { encoding: 'utf8' });
    while (ask('show', 'status').status !== 0) await pause(50);
    await pause(1500);
    const pid = bird.pid ?? 0;
    const before = routesOf(pid);
    const start = performance.now();
    ask('enable', 'feed');
    await untilRoutes(pid, (count) => count >= before + COUNT);
    return performance.now() - start;
  } finally {
    const gone = new Promise((resolve) => bird.on('exit', resolve));
    bird.kill('SIGKILL');
    await gone;
    namespace.remove();
    rmSync(directory, { recursive: true });
  }
}

function runBatch(): number {
  const namespace = new Namespace('batch');
  const directory = mkdtempSync(join(tmpdir(), 'mxt-fib-'));
  const file = join(directory, 'routes');
  const lines = Array.from({ length: COUNT }, (_, i) => `route add ${prefixAt(i)} via 172.18.0.3 proto 84 metric 8400`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  namespace.sh(underlay);
  try {
    const start = performance.now();
    const done = spawnSync('nsenter', [`--net=${namespace.path}`, 'ip', '-batch', file]);
    if (done.status !== 0) throw new Error(`ip -batch ended with ${done.status}`);
    return performance.now() - start;
  } finally {
    namespace.remove();
    rmSync(directory, { recursive: true });
  }
}

async function compare(): Promise<void> {
  const version = (program: string) => {
    const { stdout, stderr } = spawnSync(program, [program === 'ip' ? '-V' : '--version'], { encoding: 'utf8' });
    return (stdout || stderr).trim();
  };
  process.stdout.write(
    `${COUNT} routes, one next hop, ${ROUNDS} rounds, medians; node ${process.version}, ${version('bird')}, ${version('ip')}, ${cpus().length} cores\n`,
  );
  const rows = { iproute2: [] as Figures[], netlink: [] as Figures[] };
  const bird: number[] = [];
  const batch: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    rows.netlink.push(runOurs('netlink'));
    bird.push(await runBird());
    rows.iproute2.push(runOurs('iproute2'));
    batch.push(runBatch());
  }
  const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
  const base = median(bird);
  process.stdout.write(`BIRD kernel protocol      ${ms(base)}\n`);
  process.stdout.write(
    `ip -batch FILE            ${ms(median(batch))}   ratio to BIRD ${(median(batch) / base).toFixed(2)}\n`,
  );
  for (const [name, figures] of Object.entries(rows)) {
    const of = (key: string): number => median(figures.map((each) => each[key] ?? Number.NaN));
    process.stdout.write(
      `ours by ${name.padEnd(9)}         ${ms(of('add'))}   ratio to BIRD ${(of('add') / base).toFixed(2)}, loop blocked ${ms(of('addBlock'))}; withdraw ${ms(of('withdraw'))}\n` +
        `  one change p50 ${ms(of('change'))}; gateway under all ${ms(of('gateway'))}; audit ${ms(of('audit'))}, loop blocked ${ms(of('auditBlock'))}\n`,
    );
  }
}

if (BACKEND === undefined) await compare();
else await runFelix(BACKEND);
