// Runs a command inside a node, a router or a pod of a lab, with the terminal handed through.
import { execa } from 'execa';
import { LabError, requireLab } from './lab.ts';
import { labPaths, readPods } from './state.ts';

function netnsOf(lab: string, host: string): string {
  const topology = requireLab(lab);
  const pods = readPods(lab);
  const all = [...topology.nodes, ...topology.tors, ...pods];
  const found = all.find((candidate) => candidate.name === host);
  if (found !== undefined) return found.netns;
  throw new LabError(
    `no node, router or pod "${host}" in this lab; there are: ${all.map((each) => each.name).join(', ')}`,
  );
}

/** Executes argv in the namespace of `host`; gives its exit code. KUBECONFIG points at the lab's API server. */
export async function execIn(lab: string, host: string, argv: readonly string[]): Promise<number> {
  const done = await execa('ip', ['netns', 'exec', netnsOf(lab, host), ...argv], {
    stdio: 'inherit',
    reject: false,
    env: { KUBECONFIG: labPaths(lab).kubeconfig },
  });
  return done.exitCode ?? 1;
}
