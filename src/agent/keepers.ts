// Small loops that keep something written: the last good configuration on disk, detected addresses on the Node object.
import type { KubeClient } from '#kube';
import { formatError, type Log } from '#observe';
import { Worker, type Timers } from '#reconcile';
import type { Identity } from './identity.ts';
import { publishAddresses } from './identity-wait.ts';
import type { Snapshot, SnapshotFile } from './snapshot.ts';

interface LoopTools {
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
}

const snapshotGapMs = 1000;

/** Writes the snapshot after changes; `read` gives undefined while what is known is not complete. */
export function createSnapshotLoop(
  options: LoopTools & { file: SnapshotFile; read: () => Snapshot | undefined },
): Worker {
  const { file, read, ...tools } = options;
  return new Worker({
    name: 'snapshot',
    ...tools,
    minGapMs: snapshotGapMs,
    async run() {
      const snapshot = read();
      if (snapshot !== undefined) await file.write(snapshot);
    },
    onError: (error, attempt) => {
      if (attempt === 1) tools.log.warn('the last good configuration cannot be kept', { reason: formatError(error) });
    },
  });
}

/** Publishes detected addresses once; does nothing for addresses that were told to us. */
export function createAddressPublisher(options: LoopTools & { client: KubeClient; identity: Identity }): Worker {
  const { client, identity, ...tools } = options;
  let published = !identity.detected;
  return new Worker({
    name: 'node addresses',
    ...tools,
    async run(signal) {
      if (published) return;
      await publishAddresses(client, identity, signal);
      published = true;
      tools.log.info('detected addresses published on the node', { addresses: identity.addresses });
    },
  });
}
