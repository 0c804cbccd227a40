// What each part's live state looks like as metrics: one reader per metric, called at scrape. Nothing is counted twice.
import type { PeerStatus, Speaker } from '#bgp';
import type { Felix } from '#felix';
import { prefixFamily, type Prefix } from '#net';
import type { Health, Metrics } from '#observe';
import type { CniHandler } from '#cni-protocol';
import type { Cluster } from './cluster.ts';
import type { Control } from './control.ts';
import type { Ipam } from './ipam-loop.ts';
import type { Workloads } from './workloads.ts';

export interface TelemetryParts {
  readonly version: string;
  readonly health: Health;
  readonly cluster: Cluster;
  readonly control: Control;
  readonly ipam: Ipam;
  readonly felix: Felix;
  readonly speaker: Speaker;
  readonly workloads: Workloads;
}

/** Mesh peers share one label value; a BGPPeer has its own. */
function peerLabel(peer: PeerStatus): string {
  return peer.label === 'mesh' ? 'mesh' : peer.name;
}

function familyLabel(prefix: Prefix): string {
  return `ipv${prefixFamily(prefix)}`;
}

/** Counts and times every CNI request. */
export function counted(metrics: Metrics, handle: CniHandler): CniHandler {
  return async (request) => {
    const started = performance.now();
    let result = 'error';
    try {
      const response = await handle(request);
      if (response.ok) result = 'ok';
      return response;
    } finally {
      metrics.count('manx_cni_requests_total', { command: request.command, result });
      metrics.observe('manx_cni_request_seconds', { command: request.command }, (performance.now() - started) / 1000);
    }
  };
}

export function collectMetrics(metrics: Metrics, parts: TelemetryParts): void {
  const { version, health, cluster, control, ipam, workloads } = parts;
  metrics.collect('manx_loop_errors_total', () => [
    { labels: { loop: 'control' }, value: control.failures() },
    { labels: { loop: 'ipam' }, value: ipam.failures() },
  ]);
  metrics.collect('manx_build_info', () => [{ labels: { version, node_version: process.version }, value: 1 }]);
  metrics.collect('manx_ready', () =>
    health.checks().map(({ name, fault }) => ({ labels: { check: name }, value: fault === undefined ? 1 : 0 })),
  );
  metrics.collect('manx_workloads', () => [{ labels: {}, value: workloads.all().length }]);
  metrics.collect('manx_config_invalid_objects', () =>
    cluster.kinds().map(({ kind, invalid }) => ({ labels: { kind }, value: invalid.length })),
  );
  metrics.collect('manx_api_in_sync', () =>
    cluster
      .kinds()
      .map(({ kind, inSync, fault }) => ({ labels: { kind }, value: inSync && fault === undefined ? 1 : 0 })),
  );
  metrics.collect('manx_bgp_originated_prefixes', () =>
    control.state().originated.map((prefix) => ({ labels: { family: familyLabel(prefix) }, value: 1 })),
  );
  collectBgp(metrics, parts);
  collectIpam(metrics, parts);
  collectKernel(metrics, parts);
}

function collectBgp(metrics: Metrics, { speaker }: TelemetryParts): void {
  metrics.collect('manx_bgp_session_up', async () =>
    (await speaker.peers()).map((peer) => ({
      labels: { peer: peerLabel(peer) },
      value: peer.state === 'established' ? 1 : 0,
    })),
  );
  metrics.collect('manx_bgp_sessions', async () =>
    (await speaker.peers()).map((peer) => ({ labels: { peer: peerLabel(peer), state: peer.state }, value: 1 })),
  );
  metrics.collect('manx_bgp_session_flaps_total', async () =>
    (await speaker.peers()).map((peer) => ({ labels: { peer: peerLabel(peer) }, value: peer.flaps })),
  );
  metrics.collect('manx_bgp_prefixes', async () =>
    (await speaker.peers()).flatMap((peer) =>
      (['received', 'accepted', 'stale', 'advertised'] as const).map((kind) => ({
        labels: { peer: peerLabel(peer), kind },
        value: peer[kind],
      })),
    ),
  );
}

function collectIpam(metrics: Metrics, { ipam }: TelemetryParts): void {
  const own = () => ipam.allocator.blocks().filter((block) => block.affine);
  metrics.collect('manx_ipam_blocks', () =>
    own().map(({ cidr }) => ({ labels: { family: familyLabel(cidr) }, value: 1 })),
  );
  metrics.collect('manx_ipam_addresses', () =>
    own().flatMap(({ cidr, used, free }) => [
      { labels: { family: familyLabel(cidr), state: 'used' }, value: used },
      { labels: { family: familyLabel(cidr), state: 'free' }, value: free },
    ]),
  );
}

function collectKernel(metrics: Metrics, { felix }: TelemetryParts): void {
  metrics.collect('manx_routes', () => {
    const { desired, actual, unresolved, conflicts } = felix.status();
    const counts = { desired, programmed: actual, unresolved: unresolved.length, conflict: conflicts.length };
    return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }));
  });
  metrics.collect('manx_resync_drift_total', () =>
    Object.entries(felix.status().drift).map(([kind, value]) => ({ labels: { kind }, value })),
  );
  metrics.collect('manx_kernel_failures_total', () => [{ labels: {}, value: felix.status().counters.failures }]);
}
