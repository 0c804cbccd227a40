// Waits until it is known who we are: the Node object is there (or remembered) and an address of it is on this machine.
import { resources, type KubeClient } from '#kube';
import type { Health } from '#observe';
import { setTimeout as delay } from 'node:timers/promises';
import { families } from './cluster-view.ts';
import type { Cluster } from './cluster.ts';
import { identify, type Identity } from './identity.ts';
import { readLocalInterfaces } from './local-interfaces.ts';
import { addressAnnotations } from './node.ts';
import type { Tools } from './tools.ts';

export interface IdentityWait {
  readonly cluster: Cluster;
  readonly health: Health;
  readonly signal: AbortSignal;
}

const pollMs = 50;
/** A wait this long is worth a line; a healthy start is shorter. */
const quietMs = 1000;

/** The identity; undefined when the signal fired first. Says once per reason why it waits. */
export async function awaitIdentity(
  tools: Tools,
  { cluster, health, signal }: IdentityWait,
): Promise<Identity | undefined> {
  const { settings, timers, log } = tools;
  const startedMs = timers.now();
  let fault = 'not looked for yet';
  let told = '';
  health.claim('node', () => fault);
  while (!signal.aborted) {
    const found = identify(settings.nodeName, cluster.view(), await readLocalInterfaces(settings.interfacePrefix));
    if (found.ok) {
      const { addresses, as, routerId } = found.identity;
      log.info('node identified', { addresses, as, routerId, faults: found.faults });
      health.claim('node', () => undefined);
      health.note('node', () => found.faults.join('; ') || undefined);
      return found.identity;
    }
    fault = cluster.fault() ?? found.fault;
    if (fault !== told && timers.now() - startedMs > quietMs)
      log.warn('waiting for the node', { reason: (told = fault) });
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
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
