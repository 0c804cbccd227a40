// The controller's settings: one table. Name, environment variable, parser, default, what it means; read once at start.
import { logLevels, type LogLevel } from '#observe';
import {
  absolutePath,
  duration,
  type Environment,
  hostPort,
  level,
  pattern,
  readTable,
  type SettingsTable,
} from '#program';

export interface Settings {
  readonly kubeconfig: string | undefined;
  readonly metricsAddress: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
  readonly leaseNamespace: string;
  readonly leaseName: string;
  readonly graceMs: number;
}

const label = pattern(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'lower-case letters, digits and -, at most 63 (RFC 1123)',
);

/** The table. docs/reference/config.md is made from it. */
export const settingsTable: SettingsTable<Settings> = {
  kubeconfig: {
    env: 'MANX_KUBECONFIG',
    parse: absolutePath,
    default: undefined,
    doc: 'Kubeconfig file; when unset, the service account of the pod.',
  },
  metricsAddress: {
    env: 'MANX_METRICS_ADDRESS',
    parse: hostPort,
    default: '127.0.0.1:9092',
    doc: 'Where /metrics, /healthz, /readyz and /debug/state are served.',
  },
  logLevel: { env: 'MANX_LOG_LEVEL', parse: level, default: 'info', doc: `One of ${logLevels.join(', ')}.` },
  leaseNamespace: {
    env: 'MANX_LEASE_NAMESPACE',
    parse: label,
    default: 'kube-system',
    doc: 'Namespace of the Lease by which one controller of several is the leader.',
  },
  leaseName: {
    env: 'MANX_LEASE_NAME',
    parse: label,
    default: 'manx-controller',
    doc: 'Name of that Lease.',
  },
  graceMs: {
    env: 'MANX_LEAK_GRACE_PERIOD',
    parse: duration('1s', '24h'),
    default: '15m',
    doc: 'How long an address must have been in use by nobody, or a Node gone, before what it held is freed.',
  },
};

/** Reads all settings. Throws SettingsError with every fault. */
export function readSettings(env: Environment): Settings {
  return readTable(settingsTable, env);
}
