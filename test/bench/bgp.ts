/**
 * The speaker beside BIRD in the paired harness bgpbench (MANX_BGPBENCH or ../shared/bgpbench): full policy, best path
 * and validation on, in its worker thread. Prints settings, versions, medians and ratios of paired runs; asserts nothing.
 *
 * `npm run bench bgp`. MANX_BENCH_TARGETS=bird,frr,openbgpd,gobgp for more peers, MANX_BENCH_RUNS for more runs,
 * MANX_BENCH_ONLY=propagate,fanout… for some scenarios. Needs root, gcc, python3 and bird2.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { buildSync } from 'esbuild';

const SOURCE = resolve(process.env['MANX_BGPBENCH'] ?? '../shared/bgpbench');
const WORK = join(tmpdir(), 'manx-bgpbench');
const TARGET = join(import.meta.dirname, 'bgp-target.ts');
const runs = Number(process.env['MANX_BENCH_RUNS'] ?? 5);
const targets = ['bird', 'manx', ...(process.env['MANX_BENCH_TARGETS'] ?? '').split(',')].filter(
  (target, index, all) => target !== '' && all.indexOf(target) === index,
);

interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly options: readonly string[];
  readonly runs: number;
}

const few = Math.max(3, Math.ceil(runs / 2));
const SCENARIOS: readonly Scenario[] = [
  { name: 'propagate', what: '100,000 prefixes to 1 peer', options: ['--n', '100000'], runs },
  { name: 'propagate', what: '1,000,000 prefixes to 1 peer', options: ['--n', '1000000'], runs: few },
  { name: 'propagate', what: '100,000 prefixes to 10 peers', options: ['--n', '100000', '--sinks', '10'], runs },
  { name: 'churn', what: '100,000 prefixes', options: ['--n', '100000'], runs },
  { name: 'flap', what: '100,000 prefixes', options: ['--n', '100000'], runs },
  { name: 'fanout', what: 'reflector, 200 clients with 4 routes each', options: ['--n', '200'], runs },
];

interface Wait {
  readonly label: string;
  readonly ok: boolean;
  readonly secs: number;
  readonly cpu: number | null;
  readonly rss: number | null;
  readonly first?: number;
  readonly up_secs?: number;
}

function main(): void {
  const missing = whatIsMissing();
  if (missing !== undefined) {
    process.stdout.write(`left out: ${missing}\n`);
    return;
  }
  prepare();
  printSettings();
  const only = process.env['MANX_BENCH_ONLY']?.split(',');
  for (const scenario of SCENARIOS) if (only?.includes(scenario.name) ?? true) measure(scenario);
}

function whatIsMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (!existsSync(join(SOURCE, 'bench.py'))) return `no benchmark harness at ${SOURCE}: set MANX_BGPBENCH`;
  const tools = ['gcc', 'python3', 'ip', ...targets.filter((target) => target === 'bird')];
  const absent = tools.filter((tool) => spawnSync('which', [tool]).status !== 0);
  return absent.length === 0 ? undefined : `needs ${absent.join(', ')}`;
}

/** The harness with its programs and data, in a directory of its own; kept for the next time. */
function prepare(): void {
  mkdirSync(WORK, { recursive: true });
  cpSync(SOURCE, WORK, { recursive: true, force: true });
  run('chmod', ['-R', 'u+w', WORK]);
  for (const program of ['bgpdrive', 'nulltarget']) run('gcc', ['-O2', '-o', program, `src/${program}.c`]);
  for (const size of ['100000', '1000000']) {
    if (!existsSync(join(WORK, 'data', `re-${size}.upd`))) run('python3', ['gen.py', size, 'data']);
  }
  // Bundled, as the image ships the agent.
  const outdir = join(WORK, 'manx');
  const entryPoints = { 'bgp-target': TARGET, worker: resolve(import.meta.dirname, '../../src/speaker/worker.ts') };
  buildSync({
    entryPoints,
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
  });
  writeFileSync(join(outdir, 'package.json'), '{"type":"module"}');
  const target = join(WORK, 'targets', 'manx');
  writeFileSync(target, `#!/bin/sh\nexec '${process.execPath}' '${join(outdir, 'bgp-target.js')}' "$@"\n`);
  chmodSync(target, 0o755);
}

function printSettings(): void {
  const gib = Math.round(totalmem() / 2 ** 30);
  process.stdout.write(`${new Date().toISOString().slice(0, 10)}, ${availableParallelism()} CPUs, ${gib} GiB\n`);
  for (const target of targets) {
    const version =
      run(join(WORK, 'targets', target), ['version'])
        .trim()
        .split('\n')[0] ?? '';
    process.stdout.write(`${target}: ${version}\n`);
  }
  process.stdout.write('IPv4 unicast, eBGP (reflector: iBGP), passive, hold 240 s, no MRAI, targets interleaved; ');
  process.stdout.write('manx: prefix policy on import and export, RFC 7606 validation, best path, worker thread\n\n');
  process.stdout.write(
    '| scenario | phase | target | runs | wall s | CPU s | RSS MiB | first route ms | wall / bird |\n',
  );
  process.stdout.write('|---|---|---|---|---|---|---|---|---|\n');
}

function measure(scenario: Scenario): void {
  const output = run('./bench.py', [
    scenario.name,
    '--targets',
    targets.join(','),
    '--runs',
    String(scenario.runs),
    ...scenario.options,
  ]);
  const results = new Map<string, Wait[]>();
  for (const [, target = '', json = ''] of output.matchAll(/ (\w+) run\d+ (\{.*\})$/gm)) {
    const wait = JSON.parse(json) as Wait;
    if (!wait.ok) process.stdout.write(`failed run of ${target}: ${json.slice(0, 300)}\n`);
    else results.set(`${wait.label} ${target}`, [...(results.get(`${wait.label} ${target}`) ?? []), wait]);
  }
  for (const [key, waits] of results) {
    const [label = '', target = ''] = key.split(' ');
    const base = results.get(`${label} bird`) ?? [];
    const ratios = waits.flatMap(({ secs }, index) => (base[index] === undefined ? [] : [secs / base[index].secs]));
    const cells = [
      `${scenario.name}: ${scenario.what}`,
      label,
      target,
      String(waits.length),
      median(waits.map(({ secs }) => secs)).toFixed(3),
      median(waits.map(({ cpu }) => cpu ?? Number.NaN)).toFixed(3),
      median(waits.map(({ rss }) => rss ?? Number.NaN)).toFixed(0),
      (1000 * median(waits.map(({ first }) => first ?? Number.NaN))).toFixed(1),
      median(ratios).toFixed(2),
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

function run(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { cwd: WORK, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (done.status === 0) return done.stdout;
  throw new Error(`${command} ${args.join(' ')}: ${done.stderr || String(done.error ?? done.status)}`);
}

main();
