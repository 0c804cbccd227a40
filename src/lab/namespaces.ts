// Makes and removes the network of a lab with iproute2: namespaces, bridges, veth pairs, addresses, default routes.
//
// The plan (which `ip -batch` lines, in which namespace) is pure; only `applyNetwork` and `removeNetwork` act. Everything
// is born inside namespaces whose name begins with `mx-<lab>-`: no link, route or sysctl of the host namespace is touched.
import { execa } from 'execa';
import {
  netnsPrefix,
  nodeInterface,
  onLink,
  onRack,
  rackBridge,
  type LabNode,
  type LabTor,
  type Topology,
} from './topology.ts';

/** Lines for `ip -batch` to run inside one namespace (undefined = where we stand, for `netns add` only). */
export interface Batch {
  readonly netns: string | undefined;
  readonly lines: readonly string[];
}

/** An `ip` command of the lab that did not work; the message is iproute2's own. */
class LabNetworkError extends Error {}

/** Interfaces of a lab come up without waiting for duplicate address detection: a lab has no strangers on its links. */
const quickAddresses = 'nodad';

function torLines(tor: LabTor, nodes: readonly LabNode[]): Batch {
  const lines = ['link set lo up', `link add ${rackBridge} type bridge`, `link set ${rackBridge} up`];
  lines.push(`addr add ${onRack(tor.gateways[0], 4)} dev ${rackBridge}`);
  lines.push(`addr add ${onRack(tor.gateways[1], 6)} dev ${rackBridge} ${quickAddresses}`);
  for (const node of nodes.filter((candidate) => candidate.rack === tor.rack)) {
    lines.push(`link add ${node.name} type veth peer name ${nodeInterface} netns ${node.netns}`);
    lines.push(`link set ${node.name} master ${rackBridge} up`);
  }
  return { netns: tor.netns, lines };
}

function linkLines(tor: LabTor, tors: readonly LabTor[]): Batch {
  const lines: string[] = [];
  for (const link of tor.links) {
    const peer = tors.find((candidate) => candidate.name === link.peer);
    if (peer !== undefined && tor.rack < peer.rack) {
      lines.push(`link add ${link.interface} type veth peer name to-${tor.name} netns ${peer.netns}`);
    }
  }
  return { netns: tor.netns, lines };
}

function linkAddressLines(tor: LabTor): Batch {
  const lines = tor.links.flatMap((link) => [
    `addr add ${onLink(link.addresses[0], 4)} dev ${link.interface}`,
    `addr add ${onLink(link.addresses[1], 6)} dev ${link.interface} ${quickAddresses}`,
    `link set ${link.interface} up`,
  ]);
  return { netns: tor.netns, lines };
}

function nodeLines(node: LabNode): Batch {
  return {
    netns: node.netns,
    lines: [
      'link set lo up',
      `link set ${nodeInterface} up`,
      `addr add ${onRack(node.addresses[0], 4)} dev ${nodeInterface}`,
      `addr add ${onRack(node.addresses[1], 6)} dev ${nodeInterface} ${quickAddresses}`,
      `route add default via ${node.gateways[0]}`,
      `-6 route add default via ${node.gateways[1]}`,
    ],
  };
}

/** The whole network as ordered batches: namespaces first, then links, then addresses and routes. */
export function planNetwork(topology: Topology): readonly Batch[] {
  const { nodes, tors } = topology;
  return [
    { netns: undefined, lines: [...tors, ...nodes].map((host) => `netns add ${host.netns}`) },
    ...tors.map((tor) => torLines(tor, nodes)),
    ...tors.map((tor) => linkLines(tor, tors)),
    ...tors.map(linkAddressLines),
    ...nodes.map(nodeLines),
  ];
}

async function runBatch(batch: Batch): Promise<void> {
  if (batch.lines.length === 0) return;
  const where = batch.netns === undefined ? [] : ['-n', batch.netns];
  // -6 and other flags are per line only outside of -batch, so lines with a family flag run by themselves.
  const plain = batch.lines.filter((line) => !line.startsWith('-'));
  const flagged = batch.lines.filter((line) => line.startsWith('-'));
  const input = `${plain.join('\n')}\n`;
  const done = await execa('ip', [...where, '-batch', '-'], { input, reject: false });
  if (done.exitCode !== 0) throw new LabNetworkError(`ip ${where.join(' ')}: ${done.stderr.trim().split('\n')[0]}`);
  for (const line of flagged) {
    const single = await execa('ip', [...where, ...line.split(' ')], { reject: false });
    if (single.exitCode !== 0) throw new LabNetworkError(`ip ${where.join(' ')} ${line}: ${single.stderr.trim()}`);
  }
}

/** No interface waits for duplicate address detection: while its link-local address is tentative, IPv6 is not forwarded. */
const everySysctls = ['net.ipv6.conf.default.accept_dad=0'] as const;

/** Routers forward, and spread flows over equal paths. */
const torSysctls = [
  'net.ipv4.ip_forward=1',
  'net.ipv6.conf.all.forwarding=1',
  'net.ipv4.fib_multipath_hash_policy=1',
] as const;

async function setSysctls(netns: string, settings: readonly string[]): Promise<void> {
  const script = settings.map(
    (setting) => `echo ${setting.split('=')[1]} > /proc/sys/${setting.split('=')[0]?.replaceAll('.', '/')}`,
  );
  const done = await execa('ip', ['netns', 'exec', netns, 'sh', '-ec', script.join('\n')], { reject: false });
  if (done.exitCode !== 0) throw new LabNetworkError(`sysctl in ${netns}: ${done.stderr.trim()}`);
}

/** Builds the network. On a failure the caller removes what was made (removeNetwork is safe at any point). */
export async function applyNetwork(topology: Topology): Promise<void> {
  const [first, ...rest] = planNetwork(topology);
  if (first !== undefined) await runBatch(first);
  for (const tor of topology.tors) await setSysctls(tor.netns, [...everySysctls, ...torSysctls]);
  for (const node of topology.nodes) await setSysctls(node.netns, everySysctls);
  for (const batch of rest) await runBatch(batch);
}

/** Names of the namespaces of a lab that exist now, whoever left them. */
export async function listNamespaces(lab: string): Promise<readonly string[]> {
  const done = await execa('ip', ['netns', 'list'], { reject: false });
  const names = done.stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
  return names.filter((name) => name.startsWith(netnsPrefix(lab)));
}

/** Process ids that live in a namespace. */
async function pidsIn(netns: string): Promise<readonly number[]> {
  const done = await execa('ip', ['netns', 'pids', netns], { reject: false });
  return done.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

/** Ends every process in a namespace and removes it; links die with it. Absent is fine. */
export async function removeNamespace(netns: string): Promise<void> {
  for (const pid of await pidsIn(netns)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended between the listing and the kill: what was wanted.
    }
  }
  await execa('ip', ['netns', 'del', netns], { reject: false });
}

/** Removes every namespace of a lab, pods first. */
export async function removeNetwork(lab: string): Promise<void> {
  const names = await listNamespaces(lab);
  const isPod = (name: string): boolean => name.startsWith(`${netnsPrefix(lab)}pod-`);
  for (const name of [...names].toSorted((a, b) => Number(isPod(b)) - Number(isPod(a)))) await removeNamespace(name);
}
