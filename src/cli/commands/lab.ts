// `manxctl lab …`: a routed cluster of network namespaces on this machine.
import { Command, InvalidArgumentError } from 'commander';
import {
  addPod,
  deletePod,
  execIn,
  type HostStatus,
  labDown,
  LabError,
  labPaths,
  labStatus,
  labUp,
  readPods,
  removeNode,
  signalProcess,
} from '#lab';
import { exitCodes } from '../errors.ts';
import { formatTable } from '../table.ts';

interface NameOption {
  readonly name: string;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('expected a whole number from 1');
  return count;
}

function parseSignal(text: string): NodeJS.Signals {
  const signals = ['SIGKILL', 'SIGTERM', 'SIGSTOP', 'SIGCONT', 'SIGUSR2'] as const;
  const found = signals.find((signal) => signal === text.toUpperCase() || signal === `SIG${text.toUpperCase()}`);
  if (found === undefined) throw new InvalidArgumentError(`expected one of ${signals.join(', ')}`);
  return found;
}

/** Every lab command takes --name, so that several labs can stand side by side. */
function command(name: string, description: string): Command {
  return new Command(name).description(description).option('--name <lab>', 'name of the lab', 'lab');
}

function upCommand(): Command {
  return command('up', 'build a lab: racks of nodes that run the real agent, joined by BIRD routers')
    .option('--racks <n>', 'number of racks', parseCount, 2)
    .option('--nodes <n>', 'nodes per rack', parseCount, 2)
    .action(async (options: NameOption & { readonly racks: number; readonly nodes: number }) => {
      const topology = await labUp({ name: options.name, racks: options.racks, nodesPerRack: options.nodes }, (step) =>
        print(`- ${step}`),
      );
      const { cli, kubeconfig } = labPaths(options.name);
      print(`lab "${options.name}" is up: ${topology.nodes.map((node) => node.name).join(', ')}`);
      print(`  export KUBECONFIG=${kubeconfig}`);
      print(`  ${cli} lab pod add web --on ${topology.nodes[0]?.name ?? ''}`);
    });
}

function statusRow(host: HostStatus): readonly string[] {
  const state = host.pid === undefined ? 'stopped' : host.ready ? 'ready' : 'not ready';
  return [
    host.name,
    host.kind,
    host.rack,
    state,
    host.sessions,
    String(host.pods),
    String(host.pid ?? ''),
    String(host.restarts),
  ];
}

function statusCommand(): Command {
  return command(
    'status',
    'show processes, sessions and pods; exit code 3 when something is not as it should be',
  ).action(async ({ name }: NameOption) => {
    const status = await labStatus(name);
    print(
      formatTable(
        ['NAME', 'KIND', 'RACK', 'STATE', 'SESSIONS', 'PODS', 'PID', 'RESTARTS'],
        status.hosts.map(statusRow),
      ),
    );
    if (!status.healthy) process.exitCode = exitCodes.degraded;
  });
}

interface PodOptions {
  readonly on: string;
  readonly annotation: Readonly<Record<string, string>>;
}

function parseAnnotation(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('expected key=value');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

function podCommand(): Command {
  const add = command('add', 'start a pod on a node')
    .argument('<pod>')
    .requiredOption('--on <node>', 'the node it runs on')
    .option(
      '--annotation <key=value...>',
      'annotations of the Pod, such as manx.network/ipAddrs=["10.64.0.7"]',
      parseAnnotation,
      {},
    )
    .action(async (pod: string, options: NameOption & PodOptions) => {
      const record = await addPod(options.name, pod, { node: options.on, annotations: options.annotation });
      print(`${record.name} on ${record.node}: ${record.addresses.join(', ')}`);
    });
  const remove = command('delete', 'stop a pod')
    .argument('<pod>')
    .action(async (pod: string, { name }: NameOption) => await deletePod(name, pod));
  const list = command('list', 'list pods').action(({ name }: NameOption) => {
    print(
      formatTable(
        ['POD', 'NODE', 'ADDRESSES'],
        readPods(name).map((pod) => [pod.name, pod.node, pod.addresses.join(',')]),
      ),
    );
  });
  return new Command('pod').description('pods of the lab').addCommand(add).addCommand(remove).addCommand(list);
}

function killCommand(): Command {
  return command(
    'kill',
    'send a signal to the agent of a node, a router, the API server or the controller; the lab starts it again',
  )
    .argument('<process>')
    .option('--signal <signal>', 'which signal', parseSignal, 'SIGKILL')
    .action((target: string, options: NameOption & { readonly signal: NodeJS.Signals }) => {
      const pid = signalProcess(options.name, target, options.signal);
      if (pid === undefined) throw new LabError(`no process "${target}" runs in lab "${options.name}"`);
      print(`sent ${options.signal} to ${target} (pid ${pid})`);
    });
}

function execCommand(): Command {
  return command('exec', 'run a command inside a node, a router or a pod')
    .argument('<host>')
    .argument('<command...>')
    .passThroughOptions()
    .action(async (host: string, argv: readonly string[], { name }: NameOption) => {
      process.exitCode = await execIn(name, host, argv);
    });
}

function removeNodeCommand(): Command {
  return command('remove-node', 'drain a node and take it out of the lab')
    .argument('<node>')
    .action(async (node: string, { name }: NameOption) => await removeNode(name, node));
}

function downCommand(): Command {
  return command('down', 'remove the lab and every leftover of it').action(async ({ name }: NameOption) => {
    print((await labDown(name)) ? `lab "${name}" is gone` : `no lab "${name}" was here`);
  });
}

export function labCommand(): Command {
  return new Command('lab')
    .description('a routed cluster of network namespaces on this machine')
    .enablePositionalOptions()
    .addCommand(upCommand())
    .addCommand(statusCommand())
    .addCommand(execCommand())
    .addCommand(podCommand())
    .addCommand(killCommand())
    .addCommand(removeNodeCommand())
    .addCommand(downCommand());
}
