/**
 * A node for kernel tests: a namespace with an uplink to a peer namespace that stands for the rack, a Felix process in
 * it, and pod namespaces; everything is taken down by `remove`.
 */
import { hostInterfaceName } from '#felix';
import { connect, FelixProcess, Namespace } from './namespaces.ts';

export const NODE = ['172.18.0.2', 'fd18::2'];

export interface PodOnNode {
  readonly namespace: Namespace;
  readonly workload: {
    readonly containerId: string;
    readonly ifname: string;
    readonly netns: string;
    readonly hostInterface: string;
    readonly addresses: readonly string[];
  };
}

export class FelixNode {
  readonly node = new Namespace('node');
  readonly rack = new Namespace('rack');
  readonly #namespaces: Namespace[] = [];
  felix: FelixProcess;

  constructor(settings: object = {}) {
    const uplink = { at: this.node, device: 'up0', addresses: ['172.18.0.2/24', 'fd18::2/64'] };
    connect(uplink, { at: this.rack, device: 'down0', addresses: ['172.18.0.1/24', 'fd18::1/64'] });
    this.node.sh('ip route add default via 172.18.0.1; ip -6 route add default via fd18::1');
    this.felix = new FelixProcess(this.node, settings);
  }

  /** Starts Felix with everything in sync: these blocks and learned routes, no pools, these pods wired before. */
  async start(
    inputs: { blocks?: string[]; learned?: Record<string, string[]>; pods?: PodOnNode[] } = {},
  ): Promise<void> {
    const { felix } = this;
    await felix.call('start');
    await felix.call('setNode', { addresses: NODE });
    await felix.call('setBlocks', inputs.blocks ?? ['10.64.0.0/26', 'fd64::/122'], true);
    await felix.call('setLearned', learned(inputs.learned ?? {}), true);
    await felix.call(
      'setWorkloads',
      (inputs.pods ?? []).map((pod) => pod.workload),
      true,
    );
    await felix.call('setPools', [], true);
    await felix.call('settled');
  }

  /** A new process in the same namespace, as after a crash or an upgrade. */
  renew(settings: object = {}): void {
    this.felix = new FelixProcess(this.node, settings);
  }

  pod(containerId: string, ...addresses: readonly string[]): PodOnNode {
    const namespace = new Namespace(containerId);
    this.#namespaces.push(namespace);
    return this.sandbox(namespace, containerId, ...addresses);
  }

  sandbox(namespace: Namespace, containerId: string, ...addresses: readonly string[]): PodOnNode {
    const hostInterface = hostInterfaceName(containerId, 'eth0');
    return { namespace, workload: { containerId, ifname: 'eth0', netns: namespace.path, hostInterface, addresses } };
  }

  plug(pod: PodOnNode): Promise<unknown> {
    return this.felix.call('plug', pod.workload);
  }

  unplug(pod: PodOnNode): Promise<unknown> {
    return this.felix.call('unplug', { containerId: pod.workload.containerId, ifname: 'eth0' });
  }

  async status(): Promise<Status> {
    return (await this.felix.call('status')) as Status;
  }

  /** Routes of ours in the node's kernel, as if they carried their gateways themselves. */
  routes(): readonly string[] {
    return this.node
      .routes('proto 84')
      .map((route) =>
        route
          .replace(/ nhid \d+/, '')
          .replace(/^(\S+) ((?:src \S+ )?metric \d+ pref medium) nexthop (via \S+ dev \S+) weight 1$/, '$1 $3 $2')
          .replace(/( nexthop via \S+ dev \S+ weight 1)+$/, (hops) =>
            hops
              .split(/(?= nexthop)/)
              .sort()
              .join(''),
          ),
      )
      .sort();
  }

  async remove(): Promise<void> {
    await this.felix.stop();
    for (const namespace of [this.node, this.rack, ...this.#namespaces]) namespace.remove();
  }
}

/** As much of FelixStatus as the tests read. */
export interface Status {
  readonly unresolved: readonly { readonly prefix: string; readonly reason: string }[];
  readonly conflicts: readonly { readonly prefix: string }[];
  readonly drift: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<string, number>>;
  readonly lastRepair?: { readonly what: string; readonly tookMs: number };
  readonly nat: { readonly available: boolean; readonly reason?: string };
}

export function learned(routes: Record<string, string[]>): readonly object[] {
  return Object.entries(routes).map(([prefix, nextHops]) => ({ prefix, nextHops }));
}

/** Polls a condition of the kernel until it holds; kernel tests wait for the kernel, not for a time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 3000,
): Promise<number> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - start;
}
