// Writes this node's NodeStatus: created once, owned by the Node, then its status replaced when it changed.
//
// At most one write per interval, so that 1,000 nodes with flapping peers do not become the API server's load. A failed
// write is retried with back-off and never disturbs anything else.
import { isRecord, resources, type KubeClient, type KubeObject } from '#kube';
import type { Log } from '#observe';
import { Worker, type Timers } from '#reconcile';
import { stampStatus, type NodeStatusBody } from './node-status.ts';

export interface StatusWriterOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly intervalMs: number;
  readonly read: () => Promise<NodeStatusBody>;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
}

/** The worker; trigger it after any change. */
export function createStatusWriter(options: StatusWriterOptions): Worker {
  let written: string | undefined;
  return new Worker({
    name: 'node status',
    timers: options.timers,
    random: options.random,
    minGapMs: options.intervalMs,
    resyncMs: options.intervalMs,
    async run(signal) {
      const body = await options.read();
      const text = JSON.stringify(body);
      if (text === written) return;
      await write(options, body, signal);
      written = text;
    },
    onError: (error, attempt) => options.log.debug('node status not written yet', { err: error, attempt }),
  });
}

async function write(
  { client, nodeName }: StatusWriterOptions,
  body: NodeStatusBody,
  signal: AbortSignal,
): Promise<void> {
  const found = await client.find(resources.nodeStatuses, nodeName, { signal });
  const object =
    found ?? (await client.create(resources.nodeStatuses, await newObject(client, nodeName, signal), { signal }));
  const status = stampStatus(body, conditionsOf(object.status), new Date().toISOString());
  await client.replaceStatus(resources.nodeStatuses, { ...object, status }, { signal });
}

async function newObject(client: KubeClient, nodeName: string, signal: AbortSignal): Promise<KubeObject> {
  const node = await client.find(resources.nodes, nodeName, { signal });
  const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node?.metadata.uid };
  return {
    apiVersion: 'manx.network/v1',
    kind: 'NodeStatus',
    metadata: { name: nodeName, ...(owner.uid === undefined ? {} : { ownerReferences: [owner] }) },
    spec: { node: nodeName },
  };
}

function conditionsOf(status: unknown): Parameters<typeof stampStatus>[1] {
  const conditions = isRecord(status) ? status['conditions'] : undefined;
  if (!Array.isArray(conditions)) return [];
  return conditions.filter(isRecord).map((condition) => ({
    type: String(condition['type']),
    status: String(condition['status']),
    lastTransitionTime: String(condition['lastTransitionTime']),
  }));
}
