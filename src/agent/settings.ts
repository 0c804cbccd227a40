// The agent's settings: one table. Name, environment variable, parser, default, what it means; read once at start.
//
// None changes in a running agent: what operators change while agents run (peers, pools, AS numbers) lives in the
// Kubernetes API.
import { hostname } from 'node:os';
import { logLevels, type LogLevel } from '#observe';
import {
  absolutePath,
  duration,
  type Environment,
  hostPort,
  integer,
  level,
  oneOf,
  pattern,
  readTable,
  type SettingsTable,
} from '#program';

export interface Settings {
  readonly nodeName: string;
  readonly kubeconfig: string | undefined;
  readonly stateDir: string;
  readonly runDir: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  readonly metricsAddress: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
  readonly interfacePrefix: string;
  readonly routeProtocol: number;
  readonly routeMetric: number;
  readonly mtu: number | undefined;
  readonly routeBackend: RouteBackendChoice;
  readonly resyncMs: number;
  readonly statusIntervalMs: number;
  readonly restartTimeMs: number;
  readonly advertiseWaitMs: number;
}

/** Who writes routes: netlink where its library loads, or one of the two whatever happens. */
const routeBackends = ['auto', 'netlink', 'iproute2'] as const;
export type RouteBackendChoice = (typeof routeBackends)[number];

function automaticMtu(text: string): number | undefined {
  return text === '0' ? undefined : integer(1280, 65535, '0 for automatic, or a whole number')(text);
}

const nodeName = pattern(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Node object (lower case, RFC 1123)');

/** The table. docs/reference/config.md is made from it. */
export const settingsTable: SettingsTable<Settings> = {
  nodeName: {
    env: 'MANX_NODE_NAME',
    parse: nodeName,
    default: undefined,
    doc: 'Name of the Node object of this machine; the host name when unset.',
  },
  kubeconfig: {
    env: 'MANX_KUBECONFIG',
    parse: absolutePath,
    default: undefined,
    doc: 'Kubeconfig file; when unset, the service account of the pod.',
  },
  stateDir: {
    env: 'MANX_STATE_DIR',
    parse: absolutePath,
    default: '/var/lib/manx',
    doc: 'What must survive a reboot: workload records and the last good configuration.',
  },
  runDir: { env: 'MANX_RUN_DIR', parse: absolutePath, default: '/run/manx', doc: 'Holds the CNI socket `cni.sock`.' },
  cniConfDir: {
    env: 'MANX_CNI_CONF_DIR',
    parse: absolutePath,
    default: '/etc/cni/net.d',
    doc: 'Where `10-manx.conflist` is installed once the agent is ready.',
  },
  cniBinDir: {
    env: 'MANX_CNI_BIN_DIR',
    parse: absolutePath,
    default: '/opt/cni/bin',
    doc: 'Where the plugin executable `manx` is installed.',
  },
  metricsAddress: {
    env: 'MANX_METRICS_ADDRESS',
    parse: hostPort,
    default: '127.0.0.1:9091',
    doc: 'Where /metrics, /healthz, /readyz and /debug/state are served.',
  },
  logLevel: { env: 'MANX_LOG_LEVEL', parse: level, default: 'info', doc: `One of ${logLevels.join(', ')}.` },
  interfacePrefix: {
    env: 'MANX_INTERFACE_PREFIX',
    parse: pattern(/^[a-z]{1,4}$/, '1 to 4 lower-case letters'),
    default: 'mx',
    doc: 'First letters of the host ends of pod interfaces. Changing it orphans what is wired.',
  },
  routeProtocol: {
    env: 'MANX_ROUTE_PROTOCOL',
    parse: integer(5, 255),
    default: '84',
    doc: 'Protocol number of our kernel routes, by which we recognise them. No other program may use it.',
  },
  routeMetric: {
    env: 'MANX_ROUTE_METRIC',
    parse: integer(1, 4_294_967_294),
    default: '8400',
    doc: 'Metric of our kernel routes.',
  },
  mtu: {
    env: 'MANX_MTU',
    parse: automaticMtu,
    default: '0',
    doc: 'MTU of pod interfaces in bytes; 0 takes that of the interface with the node address.',
  },
  routeBackend: {
    env: 'MANX_ROUTE_BACKEND',
    parse: oneOf(routeBackends),
    default: 'auto',
    doc: 'How routes reach the kernel: `netlink` (raw rtnetlink, needs the optional package koffi), `iproute2` (a long-lived `ip -batch`), or `auto`: netlink where it loads.',
  },
  resyncMs: {
    env: 'MANX_RESYNC_INTERVAL',
    parse: duration('1s', '60m'),
    default: '60s',
    doc: 'Longest time between two full audits of the kernel.',
  },
  statusIntervalMs: {
    env: 'MANX_NODE_STATUS_INTERVAL',
    parse: duration('500ms', '60m'),
    default: '10s',
    doc: 'Shortest time between two writes of this node’s NodeStatus; it is written only when it changed.',
  },
  restartTimeMs: {
    env: 'MANX_GRACEFUL_RESTART_TIME',
    parse: duration('1s', '4095s'),
    default: '120s',
    doc: 'How long peers keep our routes while the agent restarts (RFC 4724).',
  },
  advertiseWaitMs: {
    env: 'MANX_ADVERTISE_WAIT',
    parse: duration('0s', '30s'),
    default: '2s',
    doc: 'How long the first pod of a new block waits for the block to be handed to the BGP speaker.',
  },
};

/** Reads all settings; the host name stands in for an unset node name. Throws SettingsError with every fault. */
export function readSettings(env: Environment, host: string = hostname()): Settings {
  const nodeName = { ...settingsTable.nodeName, default: host.toLowerCase() };
  return readTable({ ...settingsTable, nodeName }, env);
}
