// The agent's side of CNI: the socket the plugin talks to, the verbs behind it, and the files that make runtimes call it.
import { join } from 'node:path';
import type { Felix } from '#felix';
import type { KubeClient } from '#kube';
import type { Health, Metrics } from '#observe';
import type { Part } from '#program';
import { createAttachments } from './attachments.ts';
import { createCniServer } from './cni-server.ts';
import type { Cluster } from './cluster.ts';
import type { Control } from './control.ts';
import { servingFault } from './diagnosis.ts';
import type { Identity } from './identity.ts';
import { createInstallLoop } from './install-loop.ts';
import type { Ipam } from './ipam-loop.ts';
import { createPodLookup } from './pod-lookup.ts';
import { addressRequest } from './pod-request.ts';
import { counted } from './telemetry.ts';
import type { Tools } from './tools.ts';
import type { Workloads } from './workloads.ts';

export interface Cni extends Part {
  readonly trigger: () => void;
  /** Why runtimes cannot use us. */
  readonly fault: () => string | undefined;
  readonly note: () => string | undefined;
}

export interface CniParts {
  readonly metrics: Metrics;
  readonly health: Health;
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly identity: Identity;
  readonly ipam: Ipam;
  readonly felix: Felix;
  readonly workloads: Workloads;
  readonly control: Control;
}

export function createCni(tools: Tools, parts: CniParts): Cni {
  const { runDir, cniConfDir: confDir, cniBinDir: binDir, interfacePrefix, mtu } = tools.settings;
  const { metrics, health, client, cluster, identity, ipam, felix, workloads, control } = parts;
  const log = tools.log.child('cni');
  const socket = join(runDir, 'cni.sock');
  const fault = (): string | undefined => servingFault(health);
  const lookUp = createPodLookup(client, cluster);
  const nothingAsked = { pod: {}, namespace: undefined };
  const handle = createAttachments({
    felix,
    allocator: ipam.allocator,
    async request({ pod, pools: configured = {} }, signal) {
      const said = pod === undefined ? nothingAsked : await lookUp(pod, signal);
      const objects = cluster.view()?.pools ?? [];
      return addressRequest({ ...said, configured }, { pools: ipam.pools(), objects, addresses: identity.addresses });
    },
    workloads,
    interfacePrefix,
    mtu,
    fault,
    advertised: control.advertised,
    log,
  });
  const server = createCniServer({ path: socket, handle: counted(metrics, handle), log });
  const installer = createInstallLoop({ ...tools, confDir, binDir, socket, ready: () => fault() === undefined, log });
  return {
    async start() {
      await server.start();
      installer.start();
    },
    async stop() {
      await installer.stop();
      await server.stop();
    },
    trigger: installer.trigger,
    fault: installer.fault,
    note: installer.note,
  };
}
