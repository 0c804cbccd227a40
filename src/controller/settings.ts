// The controller's settings: one table. Name, environment variable, parser, default, what it means; read once at start.
//
// All faults are reported together and end the program with code 78 (EX_CONFIG). Everything else receives the frozen
// result; nothing but main.ts looks at the environment.
import { logLevels, type LogLevel } from '#observe';

export interface Settings {
  readonly kubeconfig: string | undefined;
  readonly metricsAddress: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
  readonly leaseNamespace: string;
  readonly leaseName: string;
  readonly graceMs: number;
}

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

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds from `500ms`, `10s`, `2m` or `1h`, within bounds given the same way. */
function duration(min: string, max: string) {
  const toMs = (text: string): number => {
    const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
    return match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
  };
  return (text: string): number => {
    const value = toMs(text);
    if (value >= toMs(min) && value <= toMs(max)) return value;
    throw expected(`a duration from ${min} to ${max}, such as 30s, 15m or 1h`);
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

const label = pattern(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'lower-case letters, digits and -, at most 63 (RFC 1123)',
);

/** The table. docs/reference/config.md is made from it. */
export const settingsTable: Table = {
  kubeconfig: {
    env: 'MANX_KUBECONFIG',
    parse: pattern(/^\/[^\0\n]*$/, 'an absolute path'),
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

/** Not ours: what Kubernetes puts into the environment for a Service named manx-…, and the lab's and the tests' own. */
const notOurs = /_SERVICE_(HOST|PORT)|_PORT(_|$)|^MANX_(LAB|TEST)_/;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads all settings; unknown MANX_ variables are faults too, as they are misspelt ones. Throws SettingsError. */
export function readSettings(env: Environment): Settings {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settingsTable) as [keyof Settings, Setting<unknown>][]) {
    const text = env[setting.env] || setting.default;
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
