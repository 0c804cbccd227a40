// What the API knows of the pod behind an ADD: one GET of the Pod, the Namespace from the informer's memory.
//
// The Pod is read anew each time because an annotation decides about addresses, and a watch on the node's pods would bring
// every status change of each. A namespace that the informer does not know yet (made a moment ago) is read too. A Pod that
// is not there asks for nothing: the runtime may be ahead of the API for static pods, and other runtimes have no Pods.
import { IpamError } from '#ipam';
import { KubeError, parseNamespace, parsePod, resources, type KubeClient } from '#kube';
import type { NamespaceObject } from './cluster-view.ts';
import type { Cluster } from './cluster.ts';
import type { RequestSources } from './pod-request.ts';

export type PodLookup = (
  pod: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
) => Promise<Pick<RequestSources, 'pod' | 'namespace'>>;

/** Rejects with IpamError UNAVAILABLE when the API does not answer. */
export function createPodLookup(client: KubeClient, cluster: Pick<Cluster, 'namespace'>): PodLookup {
  return async ({ namespace, name }, signal) => {
    const reads = Promise.all([
      client.find(resources.pods, name, { namespace, signal }),
      cluster.namespace(namespace) ?? readNamespace(client, namespace, signal),
    ]);
    const [object, known] = await reads.catch((error: unknown) => {
      if (!(error instanceof KubeError)) throw error;
      const message = `what pod ${namespace}/${name} asks for cannot be read: ${error.message}`;
      throw new IpamError('UNAVAILABLE', message, error);
    });
    const parsed = object === undefined ? undefined : parsePod(object);
    return { pod: parsed?.ok === true ? parsed.value.annotations : {}, namespace: known };
  };
}

async function readNamespace(
  client: KubeClient,
  name: string,
  signal: AbortSignal,
): Promise<NamespaceObject | undefined> {
  const object = await client.find(resources.namespaces, name, { signal });
  const parsed = object === undefined ? undefined : parseNamespace(object);
  return parsed?.ok === true ? parsed.value : undefined;
}
