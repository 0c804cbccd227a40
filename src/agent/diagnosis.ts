// What the agent says about itself when asked: the readiness checks of its parts, /debug/state, the NodeStatus.
//
// The first readiness needs no Established peer: a cluster must be able to start from nothing, and a node whose peers are
// all away still serves its pods.
import type { Speaker } from '#bgp';
import type { Felix } from '#felix';
import type { Check, Health } from '#observe';
import type { Cluster } from './cluster.ts';
import type { Control } from './control.ts';
import { addressList, type Identity } from './identity.ts';
import type { Cni } from './cni.ts';
import type { Ipam } from './ipam-loop.ts';
import { nodeStatus, type NodeStatusBody } from './node-status.ts';
import type { Workloads } from './workloads.ts';

/** Every readiness check there is; `cni` comes last because it waits for the others. */
export const checkNames = ['api', 'node', 'kernel', 'ipam', 'bgp', 'cni'] as const;

export interface Parts {
  readonly version: string;
  readonly startedAt: string;
  readonly identity: Identity;
  readonly health: Health;
  readonly cluster: Cluster;
  readonly ipam: Ipam;
  readonly felix: Felix;
  readonly speaker: Speaker;
  readonly control: Control;
  readonly workloads: Workloads;
  readonly cni: Cni;
}

/** Hands each check to its owner. */
export function claimChecks({ health, ipam, felix, control, cni }: Parts): void {
  health.claim('kernel', () => kernelFault(felix));
  health.note('kernel', () => felix.status().nat.reason);
  health.claim('ipam', ipam.fault);
  health.note('ipam', () => control.state().poolFaults.join('; ') || undefined);
  health.claim('bgp', () => (control.state().originating ? undefined : 'our blocks are not in the kernel yet'));
  health.note('bgp', () => control.state().peerFaults.join('; ') || undefined);
  health.claim('cni', cni.fault);
  health.note('cni', cni.note);
}

function kernelFault(felix: Felix): string | undefined {
  const { inSync, lastError } = felix.status();
  if (!inSync.node) return 'nothing has been programmed yet';
  return lastError;
}

/** Why pods cannot be added now: every check but that of the files, which come after. */
export function servingFault(health: Health): string | undefined {
  const faults = health.faults().filter((check: Check) => check.name !== 'cni');
  return faults.length === 0 ? undefined : faults.map(({ name, fault }) => `${name}: ${fault ?? ''}`).join('; ');
}

export async function readNodeStatus(parts: Parts): Promise<NodeStatusBody> {
  const { identity, ipam, workloads, health, speaker, version, startedAt } = parts;
  return nodeStatus({
    version,
    startedAt,
    addresses: addressList(identity.addresses),
    as: identity.as,
    routerId: identity.routerId,
    peers: await speaker.peers(),
    blocks: ipam.allocator.blocks().filter((block) => block.affine),
    pods: workloads.all().length,
    checks: health.checks(),
  });
}

/** Everything, for /debug/state. */
export async function readDebugState(parts: Parts): Promise<unknown> {
  const { identity, cluster, control, ipam, felix, workloads, speaker, health, version, startedAt } = parts;
  return {
    version,
    startedAt,
    identity,
    checks: health.checks(),
    cluster: { inSync: cluster.inSync, kinds: cluster.kinds(), view: cluster.view() },
    control: control.state(),
    ipam: { blocks: ipam.allocator.blocks(), allocations: ipam.allocator.allocations() },
    kernel: felix.status(),
    workloads: workloads.all(),
    bgp: { peers: await speaker.peers(), routes: await speaker.routes() },
  };
}
