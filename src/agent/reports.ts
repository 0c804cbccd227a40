// Everything the agent tells others about itself beyond its HTTP face: NodeStatus, detected addresses on the Node, the last
// good configuration on disk. Each is a loop of its own; none can hold up another, and none decides anything.
import type { KubeClient } from '#kube';
import { readNodeStatus, type Parts } from './diagnosis.ts';
import { createAddressPublisher, createSnapshotLoop } from './keepers.ts';
import type { Part } from './life.ts';
import type { SnapshotFile } from './snapshot.ts';
import { createStatusWriter } from './status-writer.ts';
import type { Tools } from './tools.ts';

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
  return {
    start() {
      for (const loop of loops) loop.start();
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
    trigger() {
      status.trigger();
      keeper.trigger();
    },
  };
}
