// Waits until it is known who we are: the Node object is there (or remembered) and an address of it is on this machine.
import { resources, type KubeClient } from '#kube';
import type { Health, Log } from '#observe';
import { families } from './cluster-view.ts';
import type { Cluster } from './cluster.ts';
import { identify, type Identity } from './identity.ts';
import { readLocalInterfaces } from './local-interfaces.ts';
import { addressAnnotations } from './node.ts';
import { sleep } from './ports.ts';

export interface IdentityWait {
  readonly nodeName: string;
  readonly interfacePrefix: string;
  readonly cluster: Cluster;
  readonly health: Health;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const pollMs = 250;

/** The identity; undefined when the signal fired first. Says once per reason why it waits. */
export async function awaitIdentity(options: IdentityWait): Promise<Identity | undefined> {
  const { nodeName, interfacePrefix, cluster, health, log, signal } = options;
  let fault = 'not looked for yet';
  health.claim('node', () => fault);
  while (!signal.aborted) {
    const found = identify(nodeName, cluster.view(), await readLocalInterfaces(interfacePrefix));
    if (found.ok) {
      const { addresses, as, routerId } = found.identity;
      log.info('node identified', { addresses, as, routerId, faults: found.faults });
      health.claim('node', () => undefined);
      if (found.faults.length > 0) health.note('node', () => found.faults.join('; '));
      return found.identity;
    }
    const reason = cluster.fault() ?? found.fault;
    if (reason !== fault) log.info('waiting for the node', { reason });
    fault = reason;
    await Promise.race([nextChange(cluster), sleep(pollMs, signal).catch(() => undefined)]);
  }
  return undefined;
}

function nextChange(cluster: Cluster): Promise<void> {
  return new Promise((resolve) => cluster.onChange(resolve));
}

/** Peers can only know detected addresses if the Node object says them. */
export async function publishAddresses(client: KubeClient, identity: Identity, signal: AbortSignal): Promise<void> {
  const pairs = families.flatMap((family) => {
    const ip = identity.addresses[family];
    return ip === undefined ? [] : [[addressAnnotations[family], ip] as const];
  });
  await client.patchMerge(
    resources.nodes,
    identity.node.name,
    { metadata: { annotations: Object.fromEntries(pairs) } },
    { signal },
  );
}
