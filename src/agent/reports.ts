// Everything the agent tells others beyond its HTTP face: NodeStatus, conditions of peers, detected addresses on the
// Node, the last good configuration on disk. Each is a loop of its own; none can hold up another, and none decides anything.
import { createConditionWriter, resources, type KubeClient, type ResourceDef } from '#kube';
import type { Part } from '#program';
import { conditionClaims } from './conditions.ts';
import { readNodeStatus, type Parts } from './diagnosis.ts';
import { createAddressPublisher, createSnapshotLoop } from './keepers.ts';
import type { SnapshotFile } from './snapshot.ts';
import { createStatusWriter } from './status-writer.ts';
import type { Tools } from './tools.ts';

/** Conditions are everyone's to write: of many agents, the first after a random wait does. */
const spreadMs = 2000;

export interface Reports extends Part {
  trigger(): void;
}

export function createReports(
  tools: Tools,
  client: KubeClient,
  options: { parts: Parts; snapshot: SnapshotFile },
): Reports {
  const { parts, snapshot } = options;
  const { nodeName, statusIntervalMs: intervalMs } = tools.settings;
  const { timers, random, log } = tools;
  const status = createStatusWriter({
    timers,
    random,
    log,
    client,
    nodeName,
    intervalMs,
    read: () => readNodeStatus(parts),
  });
  const keeper = createSnapshotLoop({ timers, random, log, file: snapshot, read: () => parts.control.snapshot() });
  const publisher = createAddressPublisher({ timers, random, log, client, identity: parts.identity });
  const loops = [status, keeper, publisher];
  const writer = (resource: ResourceDef) =>
    createConditionWriter({ client, resource, timers, random, log, now: Date.now, spreadMs });
  const conditions = {
    peers: writer(resources.bgpPeers),
    bgp: writer(resources.bgpConfigurations),
  };
  const publish = (): void => {
    const view = parts.cluster.view();
    if (!parts.cluster.inSync || view === undefined) return;
    const claims = conditionClaims(view, parts.cluster.kinds());
    conditions.peers.publish(claims.peers);
    conditions.bgp.publish(claims.bgp);
  };
  return {
    start() {
      for (const loop of loops) loop.start();
    },
    async stop() {
      await Promise.all([...loops, ...Object.values(conditions)].map((loop) => loop.stop()));
    },
    trigger() {
      status.trigger();
      keeper.trigger();
      publish();
    },
  };
}
