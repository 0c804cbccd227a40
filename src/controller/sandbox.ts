// Who holds addresses: one sandbox (an attempt at running a pod) with all its addresses, in whatever blocks they are, and
// whether it lives. Pure. The sandbox and not the address is judged: podIPs names one address per family, a sandbox may
// hold more, and secondary interfaces are in podIPs never.
//
// Invariant: whatever cannot be proven dead lives. Holders without a pod (retained addresses, handles of other programs)
// are no sandboxes at all.
import { type Block, holdings } from '#ipam';
import { type Ip, nthAddress } from '#net';
import type { NodeView, PodView, Seen, Snapshot } from './snapshot.ts';

/** One address of a sandbox. `sequenceNumber` is that of its assignment: the same address assigned again is another. */
export interface Held {
  readonly ip: Ip;
  readonly block: string;
  readonly ordinal: number;
  readonly handle: string;
  readonly sequenceNumber: number | undefined;
}

export interface Sandbox {
  readonly key: string;
  /** `namespace/name`. */
  readonly pod: string;
  /** Where it was made; undefined when nobody wrote that down. */
  readonly node: string | undefined;
  readonly held: readonly Held[];
}

export type Verdict =
  | { readonly lives: true; readonly why: 'unknown' | 'starting' | 'not reporting' | 'has the address' }
  | { readonly lives: false; readonly why: 'pod gone' | 'pod finished' | 'pod elsewhere' | 'not in podIPs' };

/** `<container id>.<interface>`, as the agent names its handles; other programs name theirs otherwise. */
const ownHandle = /^([0-9a-f]{12,64})\.([^.]{1,15})$/;
const podInterface = 'eth0';

/**
 * The sandboxes of every pod of which some address is not plainly in use. In a healthy cluster these are few among many
 * (looking through 150,000 addresses in 20,000 blocks takes 0.2 s), and only they are put together and judged.
 */
export function doubtfulSandboxes(snapshot: Snapshot): readonly Sandbox[] {
  const doubtful = new Set<string>();
  for (const block of snapshot.blocks.values()) {
    for (const { ordinal, attribute } of holdings(block)) {
      const pod = podOf(attribute.attributes);
      if (pod !== undefined && !isPlainlyInUse(snapshot.pod(pod), block, ordinal)) doubtful.add(pod);
    }
  }
  return doubtful.size === 0 ? [] : sandboxesOf(snapshot, doubtful);
}

function isPlainlyInUse(pod: Seen<PodView>, block: Block, ordinal: number): boolean {
  if (typeof pod !== 'object' || pod.finished) return false;
  const ip = nthAddress(block.cidr, ordinal);
  return pod.ips.includes(ip);
}

function sandboxesOf(snapshot: Snapshot, pods: ReadonlySet<string>): readonly Sandbox[] {
  const found = new Map<string, Sandbox & { readonly held: Held[] }>();
  for (const [name, block] of snapshot.blocks) {
    for (const { ordinal, attribute } of holdings(block)) {
      const { handle = '', attributes } = attribute;
      const pod = podOf(attributes);
      if (pod === undefined || !pods.has(pod)) continue;
      const node = attributes['node'] ?? block.affinity;
      const key = `${ownHandle.exec(handle)?.[1] ?? handle} ${pod} ${node ?? ''}`;
      const sandbox = found.get(key) ?? { key, pod, node, held: [] };
      sandbox.held.push(heldAt(block, { name, ordinal, handle }));
      found.set(key, sandbox);
    }
  }
  return [...found.values()];
}

function heldAt(block: Block, at: { name: string; ordinal: number; handle: string }): Held {
  const { name, ordinal, handle } = at;
  const sequenceNumber = block.sequenceNumberForAllocation[String(ordinal)];
  return { ip: nthAddress(block.cidr, ordinal), block: name, ordinal, handle, sequenceNumber };
}

/** `namespace/name`, undefined when the holder is no pod. */
function podOf(attributes: Readonly<Record<string, string>>): string | undefined {
  const { namespace = '', pod = '' } = attributes;
  return namespace === '' || pod === '' ? undefined : `${namespace}/${pod}`;
}

/** Whether a sandbox lives, by its pod and the node the pod is bound to. */
export function judge(sandbox: Sandbox, pod: Seen<PodView>, node: Seen<NodeView>): Verdict {
  if (pod === 'unreadable') return { lives: true, why: 'unknown' };
  if (pod === undefined) return { lives: false, why: 'pod gone' };
  if (pod.finished) return { lives: false, why: 'pod finished' };
  if (sandbox.held.some(({ ip }) => pod.ips.includes(ip))) return { lives: true, why: 'has the address' };
  // A pod without a node has no sandbox yet, and one never changes its node: this sandbox is of an earlier pod of the name.
  if (sandbox.node !== undefined && pod.node !== sandbox.node) return { lives: false, why: 'pod elsewhere' };
  if (pod.ips.length === 0) return { lives: true, why: 'starting' };
  if (node === undefined || node === 'unreadable' || !node.reporting) return { lives: true, why: 'not reporting' };
  return hasPodInterface(sandbox) ? { lives: false, why: 'not in podIPs' } : { lives: true, why: 'unknown' };
}

/** False when all we know of the sandbox are secondary interfaces, which podIPs does not tell about. */
function hasPodInterface(sandbox: Sandbox): boolean {
  return sandbox.held.some(({ handle }) => (ownHandle.exec(handle)?.[2] ?? podInterface) === podInterface);
}
