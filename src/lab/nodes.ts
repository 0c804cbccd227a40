// Takes a node out of a lab the way an administrator would: pods away, agent drained (it withdraws and says Cease), Node
// object deleted, machine gone.
import { createLabClient, collectionPath } from './client.ts';
import { requireLab, requireNode } from './lab.ts';
import { removeNamespace } from './namespaces.ts';
import { deletePod } from './pods.ts';
import { dropArgument, retireProcess } from './processes.ts';
import { labPaths, readPods, readState, writeJson } from './state.ts';

/** The agent's signal for "withdraw everything and leave for good" (src/agent/README.md). */
const drainSignal = 'SIGUSR2';

/** Removes a node with its pods. `onDrain` is called at the moment the agent is told to leave. */
export async function removeNode(lab: string, name: string, onDrain: () => void = () => undefined): Promise<void> {
  const node = requireNode(requireLab(lab), name);
  for (const pod of readPods(lab).filter((candidate) => candidate.node === name)) await deletePod(lab, pod.name);
  onDrain();
  await retireProcess(lab, name, drainSignal);
  const client = await createLabClient(lab);
  await client.remove(`${collectionPath('Node')}/${name}`);
  await removeNamespace(node.netns);
  dropArgument(lab, 'apiserver', ['--netns', node.netns]);
  const state = readState(lab);
  if (state !== undefined) writeJson(labPaths(lab).state, { ...state, removedNodes: [...state.removedNodes, name] });
}
