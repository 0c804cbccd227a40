// The agent's settings: one table. Name, environment variable, parser, default, what it means; read once at start.
//
// All faults are reported together and end the program with code 78 (EX_CONFIG). Everything else receives the frozen
// result; nothing but main.ts looks at the environment. None changes in a running agent: what operators change while
// agents run (peers, pools, AS numbers) lives in the Kubernetes API.
import { hostname } from 'node:os';
import { logLevels, type LogLevel } from '#observe';

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

interface Setting<T> {
  readonly env: string;
  /** Turns text into a value or throws Error with what was expected. */
  readonly parse: (text: string) => T;
  /** As the environment would say it; undefined = the value is absent. */
  readonly default: string | undefined;
  readonly doc: string;
}

type Table = { readonly [K in keyof Settings]: Setting<Settings[K]> };

/** Fault texts of every setting that could not be read, one line each. */
export class SettingsError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.name = 'SettingsError';
    this.faults = faults;
  }
}

function expected(what: string): Error {
  return new Error(`expected ${what}`);
}

function pattern(expression: RegExp, what: string) {
  return (text: string): string => {
    if (expression.test(text)) return text;
    throw expected(what);
  };
}

const directory = pattern(/^\/[^\0\n]*$/, 'an absolute path');

function integer(min: number, max: number, what = 'a whole number') {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw expected(`${what} from ${min} to ${max}`);
  };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Milliseconds from `500ms`, `10s` or `2m`, within bounds given the same way. */
function duration(min: string, max: string) {
  const toMs = (text: string): number => {
    const match = /^(\d{1,9})(ms|s|m)$/.exec(text);
    return match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
  };
  return (text: string): number => {
    const value = toMs(text);
    if (value >= toMs(min) && value <= toMs(max)) return value;
    throw expected(`a duration from ${min} to ${max}, such as 500ms, 10s or 2m`);
  };
}

function hostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:]+)\]|([^:]*)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) throw expected('ADDRESS:PORT, [ADDRESS]:PORT for IPv6');
  return { host: match[1] ?? match[2] ?? '', port };
}

function level(text: string): LogLevel {
  const found = logLevels.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw expected(`one of ${logLevels.join(', ')}`);
}

function routeBackend(text: string): RouteBackendChoice {
  const found = routeBackends.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw expected(`one of ${routeBackends.join(', ')}`);
}

function automaticMtu(text: string): number | undefined {
  return text === '0' ? undefined : integer(1280, 65535, '0 for automatic, or a whole number')(text);
}

const nodeName = pattern(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Node object (lower case, RFC 1123)');

/** The table. docs/reference/config.md is made from it. */
export const settingsTable: Table = {
  nodeName: {
    env: 'MANX_NODE_NAME',
    parse: nodeName,
    default: undefined,
    doc: 'Name of the Node object of this machine; the host name when unset.',
  },
  kubeconfig: {
    env: 'MANX_KUBECONFIG',
    parse: directory,
    default: undefined,
    doc: 'Kubeconfig file; when unset, the service account of the pod.',
  },
  stateDir: {
    env: 'MANX_STATE_DIR',
    parse: directory,
    default: '/var/lib/manx',
    doc: 'What must survive a reboot: workload records and the last good configuration.',
  },
  runDir: { env: 'MANX_RUN_DIR', parse: directory, default: '/run/manx', doc: 'Holds the CNI socket `cni.sock`.' },
  cniConfDir: {
    env: 'MANX_CNI_CONF_DIR',
    parse: directory,
    default: '/etc/cni/net.d',
    doc: 'Where `10-manx.conflist` is installed once the agent is ready.',
  },
  cniBinDir: {
    env: 'MANX_CNI_BIN_DIR',
    parse: directory,
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
    parse: routeBackend,
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

/** Not ours: what Kubernetes puts into the environment for a Service named manx-…, and the lab's and the tests' own. */
const notOurs = /_SERVICE_(HOST|PORT)|_PORT(_|$)|^MANX_(LAB|TEST)_/;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads all settings; unknown MANX_ variables are faults too, as they are misspelt ones. Throws SettingsError. */
export function readSettings(env: Environment, host: string = hostname()): Settings {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settingsTable) as [keyof Settings, Setting<unknown>][]) {
    const fallback = name === 'nodeName' ? host.toLowerCase() : setting.default;
    const text = env[setting.env] || fallback;
    try {
      values[name] = text === undefined ? undefined : setting.parse(text);
    } catch (error) {
      faults.push(`${setting.env} is "${text}": ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const known = new Set(Object.values(settingsTable).map((setting: Setting<unknown>) => setting.env));
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith('MANX_') && !known.has(name) && !notOurs.test(name),
  );
  faults.push(...unknown.map((name) => `${name} is not a setting; see docs/reference/config.md`));
  if (faults.length > 0) throw new SettingsError(faults);
  return Object.freeze(values) as unknown as Settings;
}

/** The page docs/reference/config.md. */
export function formatSettings(): string {
  const rows = (Object.values(settingsTable) as Setting<unknown>[]).map(({ env, doc, ...setting }) => {
    const value = setting.default === undefined ? '–' : `\`${setting.default}\``;
    return `| \`${env}\` | ${value} | ${doc} |`;
  });
  return [
    '# Settings of the agent',
    '',
    'Environment variables, read once at start; generated from src/agent/settings.ts. All faults are reported together and end',
    'the agent with code 78. To change one, restart the agent: the kernel and the peers keep forwarding meanwhile.',
    '',
    '| variable | default | meaning |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
