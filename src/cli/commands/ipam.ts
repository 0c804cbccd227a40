// `manxctl ipam …`: who has which address, what is wrong with that, and setting it right.
import { Command, InvalidArgumentError } from 'commander';
import { audit, doRepair, type Finding, holdings, whyLeaked } from '#ipam';
import { createIpamStore, isStatus, type JsonRecord, type KubeClient, parsePod, resources } from '#kube';
import { type Ip, ordinalOf, containsIp, tryParseIp } from '#net';
import { exitCodes } from '../errors.ts';
import { readAuditInput, readIpamState, toAudited } from '../ipam-state.ts';
import { addressRows, blockRows, explainAddress, poolRows, type Usage } from '../ipam-views.ts';
import { kubeCommand, type KubeOptions, type OutputOptions, print, printJson, withClient } from '../kube.ts';
import { formatTable } from '../table.ts';

type Options = KubeOptions & OutputOptions;

function parseAddress(text: string): Ip {
  const ip = tryParseIp(text);
  if (ip === undefined) throw new InvalidArgumentError('expected an IPv4 or IPv6 address');
  return ip;
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || text.trim() === '')
    throw new InvalidArgumentError('expected a whole number');
  return value;
}

function parseFlag(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('expected true or false');
  return text === 'true';
}

const usageHeader = ['TOTAL', 'IN-USE', 'COOLING', 'RESERVED', 'FREE'];

function usageCells({ total, inUse, cooling, reserved, free }: Usage): readonly string[] {
  return [total, String(inUse), String(cooling), reserved, free];
}

interface ShowOptions extends Options {
  readonly blocks?: boolean;
  readonly node?: string;
  readonly ip?: Ip;
}

function showCommand(): Command {
  return kubeCommand('show', 'show pools, blocks, the addresses of a node, or one address')
    .option('--blocks', 'one line per block')
    .option('--node <name>', 'addresses held on a node; with --blocks: its blocks')
    .option('--ip <address>', 'who has this address; exit code 3 when nobody has', parseAddress)
    .action(
      async (options: ShowOptions) => await withClient(options, (client, signal) => show(client, options, signal)),
    );
}

async function show(client: KubeClient, options: ShowOptions, signal: AbortSignal): Promise<void> {
  const { blocks, node, ip, output } = options;
  const state = await readIpamState(client, signal);
  const now = Date.now();
  if (ip !== undefined) {
    const found = explainAddress(state, ip);
    if (output === 'json') printJson({ ip, ...found });
    else print(found.text);
    if (found.row === undefined) process.exitCode = exitCodes.degraded;
  } else if (blocks === true) {
    const rows = blockRows(state, now, node);
    const cells = rows.map((row) => [row.block, row.pool, row.node, ...usageCells(row), String(row.borrowed)]);
    table(output, rows, ['BLOCK', 'POOL', 'NODE', ...usageHeader, 'BORROWED'], cells);
  } else if (node !== undefined) {
    const rows = addressRows(state, node);
    const cells = rows.map((row) => [row.ip, row.pod, row.handle, row.block, row.since]);
    table(output, rows, ['IP', 'POD', 'HANDLE', 'BLOCK', 'SINCE'], cells);
  } else {
    const rows = poolRows(state, now);
    const cells = rows.map((row) => [row.pool, row.cidr, String(row.blocks), ...usageCells(row)]);
    table(output, rows, ['POOL', 'CIDR', 'BLOCKS', ...usageHeader], cells);
  }
}

function table(
  output: OutputOptions['output'],
  rows: readonly object[],
  header: readonly string[],
  cells: readonly (readonly string[])[],
): void {
  if (output === 'json') printJson(rows);
  else print(formatTable(header, cells));
}

interface CheckOptions extends Options {
  readonly repair?: boolean;
  readonly grace: number;
}

function checkCommand(): Command {
  return kubeCommand('check', 'compare blocks with pods and nodes; exit code 3 when something is wrong')
    .option('--repair', 'free leaked addresses and remove leftovers; exit code 3 when something is left')
    .option('--grace <seconds>', 'do not suspect addresses younger than this', parseNumber, 60)
    .action(
      async (options: CheckOptions) => await withClient(options, (client, signal) => check(client, options, signal)),
    );
}

async function check(client: KubeClient, options: CheckOptions, signal: AbortSignal): Promise<void> {
  const input = await readAuditInput(client, { graceMs: options.grace * 1000, signal });
  const results: { readonly finding: Finding; readonly result: string }[] = [];
  for (const finding of audit(input)) {
    const repaired = options.repair === true && (await repair(client, finding, { input, signal }));
    results.push({ finding, result: repaired ? 'repaired' : finding.repair === undefined ? 'by hand' : 'repairable' });
  }
  const rows = results.map(({ finding: { kind, subject, why }, result }) => ({ kind, subject, why, result }));
  if (options.output === 'json') printJson(rows);
  else if (rows.length === 0) print(`${input.blocks.length} blocks, ${input.pods.length} pods: nothing is wrong`);
  else
    print(
      formatTable(
        ['KIND', 'SUBJECT', 'RESULT', 'WHY'],
        rows.map((row) => [row.kind, row.subject, row.result, row.why]),
      ),
    );
  if (results.some(({ result }) => result !== 'repaired')) process.exitCode = exitCodes.degraded;
}

/** One repair, after the pod was looked at once more; a conflict means that somebody is at work there: left for next time. */
async function repair(
  client: KubeClient,
  finding: Finding,
  { input, signal }: { readonly input: Awaited<ReturnType<typeof readAuditInput>>; readonly signal: AbortSignal },
): Promise<boolean> {
  if (finding.repair === undefined) return false;
  if (finding.repair.kind === 'release' && (await isInUseAfterAll(client, finding.repair.ip, { input, signal })))
    return false;
  const cooldownSeconds = (await readIpamState(client, signal)).configuration.cooldownSec;
  const context = { store: createIpamStore(client), now: Date.now, cooldownSeconds, judged: input.blocks };
  try {
    return await doRepair(finding.repair, context, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'CONFLICT' || error.code === 'NOT_FOUND'))
      return false;
    throw error;
  }
}

async function isInUseAfterAll(
  client: KubeClient,
  ip: Ip,
  { input, signal }: { readonly input: Awaited<ReturnType<typeof readAuditInput>>; readonly signal: AbortSignal },
): Promise<boolean> {
  const block = input.blocks.find(({ cidr }) => containsIp(cidr, ip));
  const holding = block && [...holdings(block)].find(({ ordinal }) => ordinal === ordinalOf(block.cidr, ip));
  const attributes = holding?.attribute.attributes ?? {};
  const { namespace = '', pod: name = '' } = attributes;
  if (namespace === '' || name === '') return true;
  const object = await client.find(resources.pods, name, { namespace, signal });
  const pod = object === undefined ? undefined : parsePod(object);
  const pods = pod?.ok === true ? [toAudited(pod.value)] : [];
  return (pod !== undefined && !pod.ok) || whyLeaked(attributes, ip, { ...input, pods }) === undefined;
}

interface ReleaseOptions extends Options {
  readonly ip: Ip;
  readonly force?: boolean;
}

function releaseCommand(): Command {
  return kubeCommand('release', 'free one address whose pod is gone; exit code 3 when it may be in use')
    .requiredOption('--ip <address>', 'the address', parseAddress)
    .option('--force', 'free it although its pod seems to use it')
    .action(
      async (options: ReleaseOptions) =>
        await withClient(options, (client, signal) => release(client, options, signal)),
    );
}

async function release(client: KubeClient, { ip, force, output }: ReleaseOptions, signal: AbortSignal): Promise<void> {
  const input = await readAuditInput(client, { graceMs: 0, signal });
  const state = await readIpamState(client, signal);
  const { row, text } = explainAddress({ ...state, blocks: input.blocks }, ip);
  if (row === undefined) {
    report(output, { ip, released: false, why: text });
    process.exitCode = exitCodes.degraded;
    return;
  }
  if (force !== true && (await isInUseAfterAll(client, ip, { input, signal }))) {
    report(output, { ip, released: false, why: `${text}; it may be in use (--force frees it all the same)` });
    process.exitCode = exitCodes.degraded;
    return;
  }
  const context = {
    store: createIpamStore(client),
    now: Date.now,
    cooldownSeconds: state.configuration.cooldownSec,
    judged: input.blocks,
  };
  const released = await doRepair({ kind: 'release', block: row.block, ip, handle: row.handle }, context, signal);
  report(output, { ip, released, why: released ? `was ${text}` : `${text}; it changed meanwhile, try again` });
  if (!released) process.exitCode = exitCodes.degraded;
}

function report(
  output: OutputOptions['output'],
  result: { readonly ip: Ip; readonly released: boolean; readonly why: string },
): void {
  if (output === 'json') printJson(result);
  else print(`${result.released ? 'released' : 'not released'}: ${result.why}`);
}

interface ConfigureOptions extends Options {
  readonly strictAffinity?: boolean;
  readonly autoAllocateBlocks?: boolean;
  readonly maxBlocksPerHost?: number;
  readonly ipCooldownSeconds?: number;
}

function configureCommand(): Command {
  return kubeCommand('configure', 'show or change the IPAMConfiguration named default')
    .option('--strict-affinity <bool>', 'never use addresses of other nodes’ blocks', parseFlag)
    .option('--auto-allocate-blocks <bool>', 'nodes claim blocks when they need one', parseFlag)
    .option('--max-blocks-per-host <n>', 'most blocks a node may own per family, 0 = any number', parseNumber)
    .option('--ip-cooldown-seconds <n>', 'rest of an address before it is used again', parseNumber)
    .action(async (options: ConfigureOptions) => {
      await withClient(options, (client, signal) => configure(client, options, signal));
    });
}

async function configure(client: KubeClient, options: ConfigureOptions, signal: AbortSignal): Promise<void> {
  const { strictAffinity, autoAllocateBlocks, maxBlocksPerHost, ipCooldownSeconds, output } = options;
  const wanted = { strictAffinity, autoAllocateBlocks, maxBlocksPerHost, ipCooldownSeconds };
  const spec: JsonRecord = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  if (Object.keys(spec).length > 0) await writeConfiguration(client, spec, signal);
  const { configuration } = await readIpamState(client, signal);
  if (output === 'json') return printJson(configuration);
  const { strictAffinity: strict, autoAllocateBlocks: auto, maxBlocksPerHost: max, cooldownSec } = configuration;
  const cells = [String(strict), String(auto), max === 0 ? 'any' : String(max), String(cooldownSec)];
  print(
    formatTable(['STRICT-AFFINITY', 'AUTO-ALLOCATE-BLOCKS', 'MAX-BLOCKS-PER-HOST', 'IP-COOLDOWN-SECONDS'], [cells]),
  );
}

async function writeConfiguration(client: KubeClient, spec: JsonRecord, signal: AbortSignal): Promise<void> {
  const resource = resources.ipamConfigurations;
  try {
    await client.patchMerge(resource, 'default', { spec }, { signal });
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
    const object = { apiVersion: 'manx.network/v1', kind: 'IPAMConfiguration', metadata: { name: 'default' }, spec };
    await client.create(resource, object, { signal });
  }
}

export function ipamCommand(): Command {
  return new Command('ipam')
    .description('addresses: who has them, what is wrong, setting it right')
    .addCommand(showCommand())
    .addCommand(checkCommand())
    .addCommand(releaseCommand())
    .addCommand(configureCommand());
}
