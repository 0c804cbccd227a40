/**
 * Where the API server is and who we are there: read from a kubeconfig file or a pod's service account, checked field by field.
 *
 * The common forms (no credentials, token, token file, client certificate, password) are read here, because the library that
 * knows the rest costs 0.5 s and 83 MiB to import (measured); exec plug-ins, auth providers, impersonation and proxies are left
 * to it. The invariant: a fault is a KubeConfigError that names the file and the field, before any connection is made.
 */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { KubeConfigError } from './errors.ts';
import { isRecord, type JsonRecord } from './objects.ts';

/** Everything needed to make a connection. */
export interface Access {
  /** File or service account, for messages. */
  readonly source: string;
  readonly server: URL;
  readonly ca: Buffer | undefined;
  readonly insecure: boolean;
  readonly serverName: string | undefined;
  readonly credentials: Credentials;
}

type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'token-file'; readonly path: string }
  | { readonly kind: 'certificate'; readonly cert: Buffer; readonly key: Buffer }
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** For client-node: the file itself, with the context chosen. */
  | { readonly kind: 'library'; readonly what: string; readonly path: string };

/** One named record of the file and where it stands, for messages such as `users[1].user.token`. */
class Section {
  readonly #file: string;
  readonly #values: JsonRecord;
  readonly #path: string;

  constructor(file: string, values: JsonRecord, path: string) {
    this.#file = file;
    this.#values = values;
    this.#path = path;
  }

  has(field: string): boolean {
    return this.#values[field] !== undefined && this.#values[field] !== null;
  }

  fail(field: string, problem: string, cause?: unknown): never {
    const place = [this.#path, field].filter(Boolean).join('.');
    throw new KubeConfigError(this.#file, `${place}: ${problem}`, cause);
  }

  text(field: string): string | undefined {
    const value = this.#values[field];
    if (value === undefined || value === null || value === '') return undefined;
    return typeof value === 'string' ? value : this.fail(field, 'must be a string');
  }

  required(field: string): string {
    return this.text(field) ?? this.fail(field, 'is missing');
  }

  flag(field: string): boolean {
    const value = this.#values[field] ?? false;
    return typeof value === 'boolean' ? value : this.fail(field, 'must be true or false');
  }

  path(field: string): string | undefined {
    const text = this.text(field);
    if (text === undefined) return undefined;
    return isAbsolute(text) ? text : join(dirname(this.#file), text);
  }

  /** PEM bytes from `<field>-data` (base64), or else from the file `<field>` names. */
  async pem(field: string): Promise<Buffer | undefined> {
    const data = this.text(`${field}-data`);
    const path = this.path(field);
    if (data === undefined && path === undefined) return undefined;
    const from = data === undefined ? field : `${field}-data`;
    const bytes = data === undefined ? await this.#read(field, path ?? '') : Buffer.from(data, 'base64');
    return bytes.includes('-----BEGIN ') ? bytes : this.fail(from, 'holds no PEM block');
  }

  async #read(field: string, path: string): Promise<Buffer> {
    try {
      return await readFile(path);
    } catch (cause) {
      return this.fail(field, `cannot read ${path}: ${reasonOf(cause)}`, cause);
    }
  }

  /** The record under `inner` of the entry called `name` in the list `list`, as in `users[name=x].user`. */
  named(list: string, name: string, inner: string): Section {
    const entries = this.#values[list] ?? [];
    if (!Array.isArray(entries)) return this.fail(list, 'must be a list');
    const index = entries.findIndex((entry) => isRecord(entry) && entry['name'] === name);
    if (index < 0) return this.fail(list, `has no entry named ${JSON.stringify(name)}`);
    const entry: unknown = entries[index];
    const values = isRecord(entry) ? (entry[inner] ?? {}) : {};
    if (!isRecord(values)) return this.fail(`${list}[${index}].${inner}`, 'must be a map');
    return new Section(this.#file, values, `${list}[${index}].${inner}`);
  }
}

/** Reads and checks a kubeconfig file. Throws KubeConfigError. */
export async function loadKubeconfig(path: string): Promise<Access> {
  const config = new Section(path, await parseFile(path), '');
  const contextName =
    config.text('current-context') ?? config.fail('current-context', 'is missing, so no cluster is chosen');
  const context = config.named('contexts', contextName, 'context');
  const cluster = config.named('clusters', context.required('cluster'), 'cluster');
  const userName = context.text('user');
  const user = userName === undefined ? undefined : config.named('users', userName, 'user');
  return {
    source: path,
    server: serverOf(cluster),
    ca: await cluster.pem('certificate-authority'),
    insecure: cluster.flag('insecure-skip-tls-verify'),
    serverName: cluster.text('tls-server-name'),
    credentials: await credentialsOf(path, cluster, user),
  };
}

async function parseFile(path: string): Promise<JsonRecord> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new KubeConfigError(path, `cannot be read: ${reasonOf(cause)}`, cause);
  }
  const { parse } = await import('yaml');
  let parsed: unknown;
  try {
    parsed = parse(text);
  } catch (cause) {
    throw new KubeConfigError(path, `is not YAML: ${reasonOf(cause).split('\n')[0]}`, cause);
  }
  if (!isRecord(parsed)) throw new KubeConfigError(path, 'is not a kubeconfig: expected a map at the top');
  if (parsed['kind'] !== undefined && parsed['kind'] !== 'Config') {
    throw new KubeConfigError(path, `kind: is ${JSON.stringify(parsed['kind'])}, expected Config`);
  }
  return parsed;
}

function serverOf(cluster: Section): URL {
  const text = cluster.required('server');
  if (!URL.canParse(text)) return cluster.fail('server', `${JSON.stringify(text)} is not a URL`);
  const url = new URL(text);
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  return cluster.fail('server', `${JSON.stringify(text)} must start with https:// or http://`);
}

/** Fields of a user that only client-node understands. */
const LIBRARY_FIELDS = ['exec', 'auth-provider', 'as', 'as-uid', 'as-groups', 'as-user-extra'] as const;

async function credentialsOf(path: string, cluster: Section, user: Section | undefined): Promise<Credentials> {
  if (cluster.has('proxy-url')) return { kind: 'library', what: 'proxy-url', path };
  if (user === undefined) return { kind: 'none' };
  const foreign = LIBRARY_FIELDS.find((field) => user.has(field));
  if (foreign !== undefined) return { kind: 'library', what: foreign, path };
  const cert = await user.pem('client-certificate');
  const key = await user.pem('client-key');
  if (cert !== undefined)
    return { kind: 'certificate', cert, key: key ?? user.fail('client-key', 'is missing beside the certificate') };
  if (key !== undefined) return user.fail('client-certificate', 'is missing beside the key');
  const tokenFile = user.path('tokenFile');
  if (tokenFile !== undefined) return { kind: 'token-file', path: tokenFile };
  const token = user.text('token');
  if (token !== undefined) return { kind: 'token', token };
  const username = user.text('username');
  return username === undefined
    ? { kind: 'none' }
    : { kind: 'password', username, password: user.required('password') };
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The service account of the pod we run in; `environment` gives the address of the API server. Throws KubeConfigError. */
export async function loadServiceAccount(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string = SERVICE_ACCOUNT,
): Promise<Access> {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host === undefined || host === '') {
    throw new KubeConfigError(
      'service account',
      'no kubeconfig was given and KUBERNETES_SERVICE_HOST is not set, so this is no pod',
    );
  }
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  const section = new Section(`${directory}/ca.crt`, { ca: `${directory}/ca.crt` }, '');
  return {
    source: directory,
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    ca: await section.pem('ca'),
    insecure: false,
    serverName: undefined,
    credentials: { kind: 'token-file', path: `${directory}/token` },
  };
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ('code' in cause && cause.code === 'ENOENT') return 'no such file';
  if ('code' in cause && cause.code === 'EACCES') return 'permission denied';
  return cause.message;
}
