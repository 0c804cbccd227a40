// CNI ADD and DEL of a real agent, with every address durable before ADD returns (embedded API server, journal fsynced),
// against Debian's bridge + host-local, called the same way: one process per call, interleaved in one run, order rotating.
// Then 110 pods at once on a warm node. `BENCH_ROUNDS` sets the rounds (default 100).
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compileClient } from '../../scripts/cni-client.ts';
import { labDown, labUp, nodeDirs } from '../../src/lab/lab.ts';
import type { PluginCall, PluginOutcome } from '../support/plugin-runner.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 100);
const warmUp = 10;
const burst = 110;
const cniDir = '/usr/lib/cni';
const lab = `b${process.pid}`;
const otherNode = `mxbench-${process.pid}`;
const work = mkdtempSync(join(tmpdir(), 'manx-bench-'));
const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

interface Runner {
  run(calls: readonly PluginCall[]): Promise<readonly PluginOutcome[]>;
  stop(): void;
}

/** A plugin-runner in a network namespace. */
function startRunner(netns: string): Runner {
  const child = spawn('ip', ['netns', 'exec', netns, process.execPath, source('../support/plugin-runner.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(calls) {
      child.stdin.write(`${JSON.stringify(calls)}\n`);
      const { value } = (await lines.next()) as { value: string };
      return JSON.parse(value) as readonly PluginOutcome[];
    },
    stop: () => void child.stdin.end(),
  };
}

/** Something that wires pods, measured. */
interface Contestant {
  readonly name: string;
  readonly runner: Runner;
  readonly file: string;
  readonly config: string;
  readonly add: number[];
  readonly del: number[];
}

function callOf(contestant: Contestant, verb: 'ADD' | 'DEL', pod: string): PluginCall {
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: pod,
    CNI_NETNS: `/run/netns/${pod}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: cniDir,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
  };
  return { file: contestant.file, env, config: contestant.config };
}

async function measure(
  contestant: Contestant,
  verb: 'ADD' | 'DEL',
  pods: readonly string[],
): Promise<readonly number[]> {
  const outcomes = await contestant.runner.run(pods.map((pod) => callOf(contestant, verb, pod)));
  const failed = outcomes.find((outcome) => outcome.code !== 0);
  if (failed !== undefined) throw new Error(`${contestant.name} ${verb}: ${failed.stdout}`);
  return outcomes.map((outcome) => outcome.ms);
}

const newPod = (): string => `mxb${randomBytes(8).toString('hex')}`;

function makePods(count: number): readonly string[] {
  return Array.from({ length: count }, () => {
    const pod = newPod();
    ip('netns', 'add', pod);
    return pod;
  });
}

function removePods(pods: readonly string[]): void {
  for (const pod of pods) ip('netns', 'del', pod);
}

async function round(contestants: readonly Contestant[], index: number): Promise<void> {
  const order = contestants
    .map((_, i) => contestants[(i + index) % contestants.length])
    .filter((each) => each !== undefined);
  const pods = makePods(order.length);
  for (const verb of ['ADD', 'DEL'] as const) {
    for (const [i, contestant] of order.entries()) {
      const [ms = 0] = await measure(contestant, verb, [pods[i] ?? '']);
      if (index >= 0) (verb === 'ADD' ? contestant.add : contestant.del).push(ms);
    }
  }
  removePods(pods);
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? 0;

const text = (value: number): string => value.toFixed(1).padStart(7);

function report(contestants: readonly Contestant[], peer: Contestant): void {
  const head = `ratios to ${peer.name.replace(' + host-local', '')}`;
  process.stdout.write(`\n${head.padEnd(34)}  ADD p50     p99   ratio   ratio p99 |  DEL p50     p99   ratio\n`);
  for (const each of contestants) {
    const ratio = (verb: 'add' | 'del', q: number): string =>
      (quantile(each[verb], q) / quantile(peer[verb], q)).toFixed(2);
    process.stdout.write(
      `${each.name.padEnd(34)}  ${text(quantile(each.add, 0.5))} ${text(quantile(each.add, 0.99))}    ${ratio('add', 0.5)}        ${ratio('add', 0.99)} |  ${text(quantile(each.del, 0.5))} ${text(quantile(each.del, 0.99))}    ${ratio('del', 0.5)}\n`,
    );
  }
}

async function burstOf(contestant: Contestant): Promise<void> {
  const pods = makePods(burst);
  const started = performance.now();
  const add = await measure(contestant, 'ADD', pods);
  const addedMs = performance.now() - started;
  const del = await measure(contestant, 'DEL', pods);
  removePods(pods);
  process.stdout.write(
    `${contestant.name.padEnd(34)}  ADD p50 ${text(quantile(add, 0.5))}  p99 ${text(quantile(add, 0.99))}  all ${text(addedMs)}  DEL p50 ${text(quantile(del, 0.5))}  p99 ${text(quantile(del, 0.99))}\n`,
  );
}

function bridgeConfig(name: string, ranges: readonly string[]): string {
  return JSON.stringify({
    cniVersion: '1.0.0',
    name,
    type: 'bridge',
    bridge: `mxb${name}`,
    isGateway: true,
    ipam: {
      type: 'host-local',
      dataDir: join(work, name),
      ranges: ranges.map((subnet) => [{ subnet }]),
      routes: ranges.map((subnet) => ({ dst: subnet.includes(':') ? '::/0' : '0.0.0.0/0' })),
    },
  });
}

/** The Node.js client as a file, as the installer writes it where no C client was built. */
function nodeClient(): string {
  const file = join(work, 'node-client');
  writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${source('../../src/cni/main.ts')}'\n`, { mode: 0o755 });
  return file;
}

function printSettings(compiler: string): void {
  const version = (file: string): string =>
    execFileSync('sh', ['-c', `${file} 2>&1 | head -1`], { encoding: 'utf8' }).trim();
  const debian = version("dpkg-query -W -f '${Version}' containernetworking-plugins");
  process.stdout.write(
    [
      `node ${process.version}, kernel ${version('uname -r')}, ${availableParallelism()} × ${cpus()[0]?.model ?? ''}`,
      `containernetworking-plugins ${debian}, ${version('ip -V')}, C client by ${compiler}`,
      `${rounds} rounds after ${warmUp} to warm up, order rotating; ours: IPv4 and IPv6 address per pod, durable (fsync) before ADD returns`,
      `times in ms, from before the fork of the plugin to its end`,
      '',
    ].join('\n'),
  );
}

async function main(): Promise<void> {
  const client = join(work, 'cni-client');
  const compiled = compileClient(client);
  printSettings(compiled.ok ? compiled.compiler : 'nobody (no C compiler)');
  const topology = await labUp({ name: lab, racks: 1, nodesPerRack: 1 }, () => undefined);
  const node = topology.nodes[0];
  if (node === undefined) throw new Error('no node');
  ip('netns', 'add', otherNode);
  ip('-n', otherNode, 'link', 'set', 'lo', 'up');
  mkdirSync(dirname(work), { recursive: true });
  const here = startRunner(node.netns);
  const there = startRunner(otherNode);
  const socket = join(nodeDirs(lab, node.name).run, 'cni.sock');
  const ours = JSON.stringify({ cniVersion: '1.0.0', name: 'manx', type: 'manx', socket });
  const entry = (name: string, runner: Runner, file: string, config: string): Contestant => ({
    name,
    runner,
    file,
    config,
    add: [],
    del: [],
  });
  const v4 = entry('bridge + host-local, IPv4', there, join(cniDir, 'bridge'), bridgeConfig('four', ['10.99.0.0/16']));
  const dual = entry(
    'bridge + host-local, IPv4 and IPv6',
    there,
    join(cniDir, 'bridge'),
    bridgeConfig('dual', ['10.98.0.0/16', 'fd98::/64']),
  );
  const fast = compiled.ok ? [entry('Manx, C client', here, client, ours)] : [];
  const contestants = [...fast, entry('Manx, Node.js client', here, nodeClient(), ours), v4, dual];
  try {
    for (let index = -warmUp; index < rounds; index += 1) await round(contestants, index < 0 ? -1 : index);
    report(contestants, v4);
    report(contestants, dual);
    process.stdout.write(
      `\nload average ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}\n`,
    );
    process.stdout.write(`\n${burst} pods at once on a warm node\n`);
    for (const each of [...fast, v4]) await burstOf(each);
  } finally {
    here.stop();
    there.stop();
  }
}

try {
  await main();
} finally {
  for (const name of ip('netns', 'list').matchAll(/^(mxb[0-9a-f]{16})/gm)) ip('netns', 'del', name[1] ?? '');
  if (ip('netns', 'list').includes(otherNode)) ip('netns', 'del', otherNode);
  await labDown(lab);
  rmSync(work, { recursive: true, force: true });
}
