// One look at a lab: which processes run, what each node reports of itself, which sessions each router has.
import { birdSessions } from './bird.ts';
import { createLabClient, type Json } from './client.ts';
import { isNodeReady, requireLab, torSocket } from './lab.ts';
import { findProcess } from './processes.ts';
import { readPods, readState } from './state.ts';

export interface HostStatus {
  readonly name: string;
  readonly kind: 'node' | 'router' | 'api' | 'controller';
  readonly rack: string;
  readonly pid: number | undefined;
  readonly restarts: number;
  readonly ready: boolean;
  /** `established/configured` by the host's own account. */
  readonly sessions: string;
  readonly pods: number;
}

export interface LabStatus {
  readonly healthy: boolean;
  readonly hosts: readonly HostStatus[];
}

const field = (object: unknown, name: string): unknown =>
  typeof object === 'object' && object !== null && Object.hasOwn(object, name)
    ? Object.entries(object).find(([key]) => key === name)?.[1]
    : undefined;

/** Sessions as a NodeStatus object tells them; '' while it tells nothing. */
export function reportedSessions(nodeStatus: Json | undefined): string {
  const peers = field(field(field(nodeStatus, 'status'), 'bgp'), 'peers');
  if (!Array.isArray(peers)) return '';
  const up = peers.filter((peer) => String(field(peer, 'state')).toLowerCase() === 'established');
  return `${up.length}/${peers.length}`;
}

/** `known`: hosts of the lab; a router keeps the configuration of a node that was taken out, and that is no fault. */
async function routerStatus(
  lab: string,
  { name, rack }: { readonly name: string; readonly rack: number },
  known: ReadonlySet<string>,
): Promise<HostStatus> {
  const running = findProcess(lab, name);
  const all = await birdSessions(torSocket(lab, name)).catch(() => []);
  const sessions = all.filter((session) => known.has(session.name));
  const up = sessions.filter((session) => session.info.startsWith('Established'));
  return {
    name,
    kind: 'router',
    rack: `rack${rack}`,
    pid: running?.pid,
    restarts: running?.restarts ?? 0,
    ready: sessions.length > 0 && up.length === sessions.length,
    sessions: `${up.length}/${sessions.length}`,
    pods: 0,
  };
}

async function controllerStatus(lab: string): Promise<HostStatus> {
  const running = findProcess(lab, 'controller');
  const url = `http://127.0.0.1:${readState(lab)?.controllerPort ?? 0}/readyz`;
  const ready = await fetch(url).then(
    (response) => response.ok,
    () => false,
  );
  const { pid, restarts = 0 } = running ?? { pid: undefined };
  return { name: 'controller', kind: 'controller', rack: '', pid, restarts, ready, sessions: '', pods: 0 };
}

const isComplete = (sessions: string): boolean => sessions !== '' && sessions.split('/')[0] === sessions.split('/')[1];

export async function labStatus(lab: string): Promise<LabStatus> {
  const topology = requireLab(lab);
  const client = await createLabClient(lab);
  const api = findProcess(lab, 'apiserver');
  const reachable = (await client.isReady()) === true;
  const reports = reachable ? await client.list('/apis/manx.network/v1/nodestatuses') : [];
  const pods = readPods(lab);
  const hosts: HostStatus[] = [
    {
      name: 'apiserver',
      kind: 'api',
      rack: '',
      pid: api?.pid,
      restarts: api?.restarts ?? 0,
      ready: reachable,
      sessions: '',
      pods: 0,
    },
  ];
  hosts.push(await controllerStatus(lab));
  for (const node of topology.nodes) {
    const running = findProcess(lab, node.name);
    const report = reports.find((candidate) => field(field(candidate, 'metadata'), 'name') === node.name);
    hosts.push({
      name: node.name,
      kind: 'node',
      rack: `rack${node.rack}`,
      pid: running?.pid,
      restarts: running?.restarts ?? 0,
      ready: isNodeReady(lab, node.name),
      sessions: reportedSessions(report),
      pods: pods.filter((pod) => pod.node === node.name).length,
    });
  }
  const known = new Set([...topology.nodes, ...topology.tors].map((host) => host.name));
  for (const tor of topology.tors) hosts.push(await routerStatus(lab, tor, known));
  const speaks = (host: HostStatus): boolean => host.kind === 'node' || host.kind === 'router';
  const healthy = hosts.every((host) => host.ready && (!speaks(host) || isComplete(host.sessions)));
  return { healthy, hosts };
}
