// The claims of the demo. Each looks at kernels, at the wire or at BIRD, and says what it saw.
import { setTimeout as delay } from 'node:timers/promises';
import { birdRoutes, birdSessions } from '../bird.ts';
import { createLabClient } from '../client.ts';
import { torSocket } from '../lab.ts';
import { removeNode } from '../nodes.ts';
import {
  deleteRoute,
  hasRoute,
  kernelAddresses,
  type Host,
  observedSource,
  pingAll,
  streamBetween,
} from '../probes.ts';
import { findProcess, signalProcess, waitFor } from '../processes.ts';
import { reportedSessions } from '../status.ts';
import type { Claim } from './report.ts';
import { acrossRacks, type Stage } from './stage.ts';

const convergeMs = 30_000;

/** Every pod's namespace has exactly the addresses that the CNI plugin answered, one of each family. */
export async function podsClaim(stage: Stage, slowestMs: number): Promise<Claim> {
  const wrong: string[] = [];
  for (const pod of stage.pods) {
    const held = await kernelAddresses(pod.netns);
    if (held.toSorted().join() !== pod.addresses.toSorted().join() || held.length !== 2)
      wrong.push(`${pod.name} has ${held.join(', ')}`);
  }
  const detail =
    wrong.length === 0
      ? `${stage.pods.length}, all at once, the slowest in ${Math.round(slowestMs)} ms`
      : wrong.join('; ');
  return { title: 'pods started', holds: wrong.length === 0 && stage.pods.length > 0, detail };
}

/** Names of blocks that BIRD at a ToR learned, and from which session. */
async function podRoutes(stage: Stage, tor: string): Promise<readonly { prefix: string; from: string }[]> {
  const nodes = new Set([...stage.topology.nodes, ...stage.topology.tors].map((host) => host.name));
  return (await birdRoutes(torSocket(stage.lab, tor))).filter((route) => nodes.has(route.from));
}

/** Waits until every session is Established by BIRD's account and by the nodes' own. */
export async function sessionsClaim(stage: Stage): Promise<Claim> {
  const begin = performance.now();
  const client = await createLabClient(stage.lab);
  const look = async (): Promise<string | undefined> => {
    let birdUp = 0;
    for (const tor of stage.topology.tors) {
      const sessions = await birdSessions(torSocket(stage.lab, tor.name));
      if (sessions.some((session) => !session.info.startsWith('Established'))) return undefined;
      birdUp += sessions.length;
    }
    const reports = (await client.list('/apis/manx.network/v1/nodestatuses')).map(reportedSessions);
    const wanted = `${stage.topology.nodes.length}/${stage.topology.nodes.length}`;
    if (reports.length < stage.topology.nodes.length || reports.some((sessions) => sessions !== wanted))
      return undefined;
    return `BIRD sees ${birdUp} of ${birdUp} up, each node ${wanted} (mesh + ToR)`;
  };
  const seen = await waitFor('sessions', look, convergeMs, 100).catch(() => undefined);
  const took = ((performance.now() - begin) / 1000).toFixed(1);
  return {
    title: 'BGP sessions',
    holds: seen !== undefined,
    detail: seen === undefined ? 'not all Established' : `${seen}, after ${took} s`,
  };
}

/** Every block of every node must be a BGP route in every ToR's BIRD. */
export async function routesClaim(stage: Stage): Promise<Claim> {
  const blocks = await ownBlocks(stage);
  const counts: string[] = [];
  let holds = blocks.length > 0;
  for (const tor of stage.topology.tors) {
    const seen = new Set((await podRoutes(stage, tor.name)).map((route) => route.prefix));
    const found = blocks.filter((block) => seen.has(block.cidr));
    counts.push(`${tor.name} ${found.length}/${blocks.length}`);
    holds &&= found.length === blocks.length;
  }
  return { title: 'blocks in BIRD', holds, detail: counts.join(', ') };
}

interface OwnedBlock {
  readonly cidr: string;
  readonly node: string;
}

const text = (object: unknown, ...path: readonly string[]): string => {
  let value: unknown = object;
  for (const name of path)
    value =
      typeof value === 'object' && value !== null
        ? Object.entries(value).find(([key]) => key === name)?.[1]
        : undefined;
  return typeof value === 'string' ? value : '';
};

/** Confirmed affinities: which node owns which block. */
export async function ownBlocks(stage: Stage): Promise<readonly OwnedBlock[]> {
  const client = await createLabClient(stage.lab);
  const affinities = await client.list('/apis/manx.network/v1/blockaffinities');
  return affinities.map((affinity) => ({ cidr: text(affinity, 'spec', 'cidr'), node: text(affinity, 'spec', 'node') }));
}

async function pingClaim(title: string, sources: readonly Host[], targets: readonly Host[]): Promise<Claim> {
  let last = await pingAll(sources, targets);
  const deadline = performance.now() + convergeMs;
  while (last.failures.length > 0 && performance.now() < deadline) last = await pingAll(sources, targets);
  const { sent, failures } = last;
  const first = failures[0];
  const detail =
    first === undefined
      ? `${sent} of ${sent} answered`
      : `${failures.length} of ${sent} unanswered, e.g. ${first.from} → ${first.to}`;
  return { title, holds: failures.length === 0 && sent > 0, detail };
}

export async function reachabilityClaims(stage: Stage): Promise<readonly Claim[]> {
  return [
    await pingClaim('pod ↔ pod, IPv4 and IPv6', stage.pods, stage.pods),
    await pingClaim('pod → node', stage.pods, stage.nodes),
    await pingClaim('node → pod', stage.nodes, stage.pods),
    await pingClaim('ToR → pod', stage.tors, stage.pods),
  ];
}

/** A datagram between racks arrives with the sender's own address, both ways and in both families. */
export async function sourceClaim(stage: Stage): Promise<Claim> {
  const [a, b] = acrossRacks(stage);
  const wrong: string[] = [];
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const [i, address] of to.addresses.entries()) {
      const seen = await observedSource(from, to, address);
      if (seen !== from.addresses[i]) wrong.push(`${from.addresses[i]} seen as ${seen || 'nothing'}`);
    }
  }
  const detail =
    wrong.length === 0 ? `${a.name} ⇄ ${b.name}: the receiver saw the pod's own address, 4 of 4` : wrong.join('; ');
  return { title: 'source address unchanged', holds: wrong.length === 0, detail };
}

const streamSec = 8;

/** SIGKILL to an agent under a 100 packets/s stream between racks: nothing lost, and the agent really is a new one. */
export async function killClaim(stage: Stage, signal: NodeJS.Signals = 'SIGKILL'): Promise<Claim> {
  const [from, to] = acrossRacks(stage);
  const stream = streamBetween(from, to, { address: to.addresses[0] ?? '', seconds: streamSec });
  await delay(1500);
  const before = signalProcess(stage.lab, from.node, signal);
  const after = await waitFor(
    'a new agent',
    () => {
      const pid = findProcess(stage.lab, from.node)?.pid;
      return pid === undefined || pid === before ? undefined : pid;
    },
    10_000,
    10,
  );
  const { sent, arrived, returned, perSecond } = await stream;
  const sessions = await sessionsClaim(stage);
  const rate = perSecond >= 95 && sent >= 500;
  const detail = `${sent - arrived} of ${sent} lost on the way, ${arrived - returned} on the way back, at ${perSecond}/s (agent of ${from.node} pid ${before} → ${after}, sessions ${sessions.holds ? 'back' : 'NOT back'})`;
  return {
    title: `agent ${signal}ed at 100 packets/s`,
    holds: rate && returned === sent && before !== undefined && before !== after && sessions.holds,
    detail,
  };
}

/** A learned route deleted by hand in a node's kernel comes back by itself. */
export async function repairClaim(stage: Stage): Promise<Claim> {
  const [from, to] = acrossRacks(stage);
  const node = stage.topology.nodes.find((each) => each.name === from.node);
  const block = (await ownBlocks(stage)).find((each) => each.node === to.node && !each.cidr.includes(':'));
  if (node === undefined || block === undefined)
    return { title: 'route deleted by hand', holds: false, detail: 'no learned route to delete' };
  await deleteRoute(node.netns, block.cidr);
  const begin = performance.now();
  const back = await waitFor(
    'the route',
    async () => ((await hasRoute(node.netns, block.cidr)) ? true : undefined),
    10_000,
    1,
  ).catch(() => false);
  const detail = back
    ? `${block.cidr} on ${node.name} repaired in ${Math.round(performance.now() - begin)} ms`
    : `${block.cidr} on ${node.name} not back within 10 s`;
  return { title: 'route deleted by hand', holds: back, detail };
}

/** A node drained and removed: its blocks leave every other kernel, nodes and ToRs. */
export async function removalClaim(stage: Stage): Promise<Claim> {
  const gone = stage.topology.nodes.at(-1);
  if (gone === undefined) return { title: 'node removed', holds: false, detail: 'no node' };
  const prefixes = (await ownBlocks(stage)).filter((block) => block.node === gone.name).map((block) => block.cidr);
  const others = [...stage.topology.nodes.filter((node) => node !== gone), ...stage.topology.tors];
  const title = `${gone.name} removed`;
  const cleared = async (): Promise<true | undefined> => {
    for (const host of others) for (const prefix of prefixes) if (await hasRoute(host.netns, prefix)) return undefined;
    return true;
  };
  if ((await cleared()) === true)
    return { title, holds: false, detail: 'its prefixes were nowhere before: nothing to see' };
  let watch: Promise<number> | undefined;
  await removeNode(stage.lab, gone.name, () => {
    const begin = performance.now();
    watch = waitFor('the prefixes to go', cleared, 15_000, 5).then(
      () => performance.now() - begin,
      () => Number.NaN,
    );
  });
  const tookMs = (await watch) ?? Number.NaN;
  if (Number.isNaN(tookMs))
    return { title, holds: false, detail: `${prefixes.join(', ')} still in some kernel after 15 s` };
  return {
    title,
    holds: true,
    detail: `${prefixes.join(', ')} gone from ${others.length} kernels in ${Math.round(tookMs)} ms`,
  };
}
