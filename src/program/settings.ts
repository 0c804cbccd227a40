// Settings of a program as one table: name, environment variable, parser, default, what it means; read once at start.
//
// All faults are reported together and end the program with code 78 (EX_CONFIG). Everything else receives the frozen
// result; nothing but main.ts looks at the environment.

export interface Setting<T> {
  readonly env: string;
  /** Turns text into a value or throws Error with what was expected. */
  readonly parse: (text: string) => T;
  /** As the environment would say it; undefined = the value is absent. */
  readonly default: string | undefined;
  readonly doc: string;
}

export type SettingsTable<S> = { readonly [K in keyof S]: Setting<S[K]> };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Fault texts of every setting that could not be read, one line each. */
export class SettingsError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(faults.join('; '));
    this.name = 'SettingsError';
    this.faults = faults;
  }
}

/** Not ours: what Kubernetes puts into the environment for a Service named manx-…, and the lab's and the tests' own. */
const notOurs = /_SERVICE_(HOST|PORT)|_PORT(_|$)|^MANX_(LAB|TEST)_/;

/** Reads all settings; unknown MANX_ variables are faults too, as they are misspelt ones. Throws SettingsError. */
export function readTable<S extends object>(table: SettingsTable<S>, env: Environment): S {
  const faults: string[] = [];
  const values: Record<string, unknown> = {};
  const settings = Object.entries<Setting<unknown>>(table);
  for (const [name, setting] of settings) {
    const text = env[setting.env] || setting.default;
    try {
      values[name] = text === undefined ? undefined : setting.parse(text);
    } catch (error) {
      faults.push(`${setting.env} is "${text}": ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const known = new Set(settings.map(([, setting]) => setting.env));
  const unknown = Object.keys(env).filter(
    (name) => name.startsWith('MANX_') && !known.has(name) && !notOurs.test(name),
  );
  faults.push(...unknown.map((name) => `${name} is not a setting; see docs/reference/config.md`));
  if (faults.length > 0) throw new SettingsError(faults);
  // Every key of the table was parsed by the parser of that key: this is where the table's type becomes the value's.
  return Object.freeze(values) as S;
}

/** A Markdown table: variable, default, meaning. */
export function formatSettingsTable<S extends object>(table: SettingsTable<S>): string {
  const rows = Object.values<Setting<unknown>>(table).map(({ env, doc, ...setting }) => {
    const value = setting.default === undefined ? '–' : `\`${setting.default}\``;
    return `| \`${env}\` | ${value} | ${doc} |`;
  });
  return ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n');
}
