// The stage of the demo: a lab that is up, its pods, and the hosts that probes run in.
import { addPod } from '../pods.ts';
import type { Host } from '../probes.ts';
import type { Topology } from '../topology.ts';

export interface Stage {
  readonly lab: string;
  readonly topology: Topology;
  readonly pods: readonly (Host & { readonly node: string })[];
  readonly nodes: readonly Host[];
  readonly tors: readonly Host[];
}

/** Starts `perNode` pods on every node, all at once, and gives the stage with how long the slowest took. */
export async function setStage(
  lab: string,
  topology: Topology,
  perNode: number,
): Promise<{ stage: Stage; slowestMs: number }> {
  let slowestMs = 0;
  const starts = topology.nodes.flatMap((node) =>
    Array.from({ length: perNode }, async (_, i) => {
      const begin = performance.now();
      const pod = await addPod(lab, `pod${node.name.slice(4)}${'abcdefghi'[i] ?? i}`, node.name);
      slowestMs = Math.max(slowestMs, performance.now() - begin);
      return pod;
    }),
  );
  const pods = await Promise.all(starts);
  return { stage: { lab, topology, pods, nodes: topology.nodes, tors: torHosts(topology) }, slowestMs };
}

function torHosts(topology: Topology): readonly Host[] {
  return topology.tors.map((tor) => ({ name: tor.name, netns: tor.netns, addresses: tor.gateways }));
}

/** Two pods in different racks: the first of each. */
export function acrossRacks(stage: Stage): readonly [Stage['pods'][number], Stage['pods'][number]] {
  const rackOf = (node: string): number => stage.topology.nodes.find((each) => each.name === node)?.rack ?? 0;
  const [first] = stage.pods;
  const other = stage.pods.find((pod) => first !== undefined && rackOf(pod.node) !== rackOf(first.node));
  if (first === undefined || other === undefined) throw new Error('the demo needs pods in two racks');
  return [first, other];
}
