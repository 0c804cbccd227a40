// IPAM on this node: the allocator over the Kubernetes API, and the loop that keeps it ready.
//
// The loop reads this node's blocks back once, then sees that each family has a block with room. Until the first recovery
// nothing is assigned and nothing counts as ours; failures are retried for ever, as the API may be away. Empty blocks that no
// spare addresses need are given back when they stayed untouched for some minutes, never because of a moment's view.
import { createAllocator, type Allocator, type IpamSettings, type Pool } from '#ipam';
import { createIpamStore, type KubeClient } from '#kube';
import type { Family } from '#net';
import { formatError } from '#observe';
import { Worker } from '#reconcile';
import type { Part } from '#program';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterView } from './cluster-view.ts';
import type { Cluster } from './cluster.ts';
import type { Identity } from './identity.ts';
import { createPoolView } from './pools.ts';
import type { Tools } from './tools.ts';

export interface Ipam extends Part {
  readonly allocator: Allocator;
  /** Families in which a pod gets an address now. */
  readonly families: () => readonly Family[];
  /** Pools as this node sees them. */
  readonly pools: () => readonly Pool[];
  trigger(): void;
  /** Whether the store has been read: what the allocator does not list is not ours. */
  recovered(): boolean;
  failures(): number;
  /** Why no address can be given out, undefined when one can. */
  readonly fault: () => string | undefined;
}

export interface IpamParts {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly identity: Identity;
}

const resyncMs = 300_000;
/** How long a block must have been empty before it is given back. */
const emptyForMs = 300_000;
const backoff = { baseMs: 200, maxMs: 10_000, jitter: 0.5 };

export function createIpam(tools: Tools, { client, cluster, identity }: IpamParts): Ipam {
  const log = tools.log.child('ipam');
  const { pools, families } = createPoolView(cluster, identity);
  const allocator = createAllocator({
    node: tools.settings.nodeName,
    store: createIpamStore(client),
    pools,
    settings: () => ipamSettings(cluster.view()),
    now: Date.now,
    random: tools.random,
    sleep: (delayMs, signal) => delay(delayMs, undefined, { signal }),
    log,
  });
  let recovered = false;
  let fault: string | undefined = 'blocks have not been read yet';
  const worker = new Worker({
    name: 'ipam',
    timers: tools.timers,
    random: tools.random,
    resyncMs,
    backoff,
    async run(signal) {
      if (!recovered) {
        await allocator.recover(signal);
        recovered = true;
        log.info('blocks read back', { blocks: allocator.blocks().map((block) => block.cidr) });
        tools.changed();
      }
      if (!cluster.inSync) return;
      const wanted = families();
      fault =
        wanted.length === 0
          ? 'no IPPool serves this node in a family it has an address of; create one, or check disabled and nodeSelector'
          : undefined;
      await allocator.ensureBlocks(wanted, signal);
      await allocator.releaseEmptyBlocks(signal, emptyForMs);
    },
    onError(error, attempt) {
      fault = formatError(error);
      if (attempt === 1) log.warn('blocks are not available', { reason: fault });
    },
  });
  return {
    allocator,
    families,
    pools,
    start: () => worker.start(),
    stop: () => worker.stop(),
    trigger: () => worker.trigger(),
    recovered: () => recovered,
    failures: () => worker.status().failures,
    fault: () => fault,
  };
}

function ipamSettings(view: ClusterView | undefined): Partial<IpamSettings> {
  if (view === undefined) return {};
  const { strictAffinity, autoAllocateBlocks, maxBlocksPerHost, cooldownSec } = view.ipam;
  return {
    strictAffinity,
    autoAllocateBlocks,
    maxBlocksPerNode: maxBlocksPerHost,
    cooldownSeconds: cooldownSec,
    reserved: view.reserved,
  };
}
