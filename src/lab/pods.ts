// Pods of a lab: an object in the API, a sandbox namespace, an ADD through the node's CNI configuration, the addresses in
// the Pod's status; and the way back. What kubelet and containerd do between them.
import { collectionPath, createLabClient } from './client.ts';
import { LabError, nodeDirs, requireLab, requireNode } from './lab.ts';
import { podObject } from './objects.ts';
import {
  addNetwork,
  deleteNetwork,
  makeSandbox,
  removeSandbox,
  resultAddresses,
  type RuntimeNode,
  type Sandbox,
} from './runtime.ts';
import { forgetPod, readPods, writePod, type PodRecord } from './state.ts';
import { podNetns, type Topology } from './topology.ts';

function runtimeNode(lab: string, topology: Topology, name: string): RuntimeNode {
  const node = requireNode(topology, name);
  const { confDir, binDir } = nodeDirs(lab, name);
  return { netns: node.netns, confDir, binDir };
}

function sandboxOf(pod: PodRecord): Sandbox {
  return { containerId: pod.containerId, netns: pod.netns, podNamespace: 'default', podName: pod.name };
}

export interface PodPlace {
  readonly node: string;
  /** Of the Pod object: what it asks of IPAM. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Starts a pod on a node and gives its addresses. Nothing stays behind when ADD fails. */
export async function addPod(lab: string, name: string, place: string | PodPlace): Promise<PodRecord> {
  const { node, annotations = {} } = typeof place === 'string' ? { node: place } : place;
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new LabError(`pod name "${name}": expected lower-case letters, digits and -, at most 32`);
  }
  const runtime = runtimeNode(lab, requireLab(lab), node);
  if (readPods(lab).some((pod) => pod.name === name)) throw new LabError(`pod "${name}" exists already`);
  const client = await createLabClient(lab);
  const pods = collectionPath('Pod');
  await client.create(pods, podObject(name, node, annotations));
  const sandbox = await makeSandbox(podNetns(lab, name), { namespace: 'default', name });
  try {
    const addresses = resultAddresses(await addNetwork(runtime, sandbox));
    const record = { name, node, netns: sandbox.netns, containerId: sandbox.containerId, addresses };
    writePod(lab, record);
    const podIPs = addresses.map((ip) => ({ ip }));
    await client.mergePatch(`${pods}/${name}/status`, { status: { phase: 'Running', podIP: addresses[0], podIPs } });
    return record;
  } catch (error) {
    await removeSandbox(sandbox);
    await client.remove(`${pods}/${name}?gracePeriodSeconds=0`);
    throw error;
  }
}

function findPod(lab: string, name: string): PodRecord {
  const pods = readPods(lab);
  const pod = pods.find((candidate) => candidate.name === name);
  if (pod !== undefined) return pod;
  throw new LabError(`no pod "${name}" in this lab; pods: ${pods.map((each) => each.name).join(', ') || 'none'}`);
}

/** Stops a pod: DEL, then its namespace and its object. */
export async function deletePod(lab: string, name: string): Promise<void> {
  const pod = findPod(lab, name);
  await deleteNetwork(runtimeNode(lab, requireLab(lab), pod.node), sandboxOf(pod));
  await removeSandbox(sandboxOf(pod));
  forgetPod(lab, name);
  const client = await createLabClient(lab);
  await client.remove(`${collectionPath('Pod')}/${name}?gracePeriodSeconds=0`);
}
