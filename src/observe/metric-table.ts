// Every metric there is: name, type, help, labels. A closed table; the registry refuses anything else at compile time.
//
// Rules: base units, `_total` on counters only, no state as a number, labels from closed sets (family, state, result).
// Mesh peers share the label value `mesh`; only configured BGPPeers have series of their own. Never pod or prefix.
export interface MetricSpec {
  readonly kind: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export const metricTable = {
  manx_build_info: {
    kind: 'gauge',
    help: 'Always 1; labels name the version and the Node.js that runs it.',
    labels: ['version', 'node_version'],
  },
  manx_ready: { kind: 'gauge', help: '1 when the readiness check passes.', labels: ['check'] },
  manx_bgp_session_up: {
    kind: 'gauge',
    help: 'Established sessions of a peer; mesh peers are counted together under peer="mesh".',
    labels: ['peer'],
  },
  manx_bgp_sessions: { kind: 'gauge', help: 'Configured sessions by FSM state.', labels: ['peer', 'state'] },
  manx_bgp_session_flaps_total: { kind: 'counter', help: 'Times a session left Established.', labels: ['peer'] },
  manx_bgp_prefixes: {
    kind: 'gauge',
    help: 'Prefixes received from, accepted from, held stale for and advertised to peers.',
    labels: ['peer', 'kind'],
  },
  manx_bgp_originated_prefixes: { kind: 'gauge', help: 'Prefixes this node originates.', labels: ['family'] },
  manx_ipam_blocks: { kind: 'gauge', help: 'Blocks confirmed for this node.', labels: ['family'] },
  manx_ipam_addresses: {
    kind: 'gauge',
    help: 'Addresses in blocks of this node, used and free.',
    labels: ['family', 'state'],
  },
  manx_routes: { kind: 'gauge', help: 'Routes wanted and programmed by this node.', labels: ['state'] },
  manx_kernel_failures_total: {
    kind: 'counter',
    help: 'Failed runs of the loop that programs the kernel; each is retried.',
    labels: [],
  },
  manx_resync_drift_total: {
    kind: 'counter',
    help: 'Differences from the wanted kernel state that were found and repaired.',
    labels: ['kind'],
  },
  manx_workloads: { kind: 'gauge', help: 'Pods wired on this node.', labels: [] },
  manx_cni_requests_total: {
    kind: 'counter',
    help: 'CNI requests by command and result.',
    labels: ['command', 'result'],
  },
  manx_cni_request_seconds: {
    kind: 'histogram',
    help: 'Time from a CNI request to its answer.',
    labels: ['command'],
    buckets: secondsBuckets,
  },
  manx_config_invalid_objects: {
    kind: 'gauge',
    help: 'Objects that are invalid and therefore ignored, or held at their last valid value.',
    labels: ['kind'],
  },
  manx_api_in_sync: { kind: 'gauge', help: '1 while the watch of a kind is up to date.', labels: ['kind'] },
  manx_controller_leader: { kind: 'gauge', help: '1 while this controller is the leader.', labels: [] },
  manx_ipam_gc_candidates: {
    kind: 'gauge',
    help: 'Sandboxes, blocks and affinities that look unused and are watched until the grace period has passed.',
    labels: ['kind'],
  },
  manx_ipam_gc_reclaimed_total: {
    kind: 'counter',
    help: 'Addresses, blocks and affinities that the collector freed.',
    labels: ['kind'],
  },
  manx_ipam_gc_errors_total: {
    kind: 'counter',
    help: 'Candidates that could not be freed when their time had come; each is tried again.',
    labels: [],
  },
  manx_loop_errors_total: {
    kind: 'counter',
    help: 'Failed runs of a control loop; each is retried.',
    labels: ['loop'],
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type MetricName = keyof typeof metricTable;
export type Labels<N extends MetricName> = Readonly<Record<(typeof metricTable)[N]['labels'][number], string>>;

type NamesOf<K extends MetricSpec['kind']> = {
  [N in MetricName]: (typeof metricTable)[N]['kind'] extends K ? N : never;
}[MetricName];
export type GaugeName = NamesOf<'gauge'>;
export type CounterName = NamesOf<'counter'>;
export type HistogramName = NamesOf<'histogram'>;
