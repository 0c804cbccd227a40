/**
 * A checked way to an API server made into what an HTTP request needs: an agent that keeps connections, and headers that say who we
 * are. The invariant: credentials that rotate (token files, exec plug-ins) are read again within a minute.
 */
import { readFile } from 'node:fs/promises';
import { Agent, type AgentOptions, type OutgoingHttpHeaders } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { KubeConfigError } from './errors.ts';
import type { Access } from './kubeconfig.ts';

export interface RequestParts {
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: Agent | undefined;
}

export interface Connection {
  readonly server: URL;
  /** What a request is to be sent with, now. Throws KubeConfigError when credentials cannot be had. */
  prepare(): Promise<RequestParts>;
  /** Closes idle connections; those in use end with their requests. */
  close(): void;
}

const TOKEN_MAX_AGE_MS = 60_000;
const AGENT_OPTIONS: AgentOptions = { keepAlive: true, keepAliveMsecs: 15_000, maxFreeSockets: 8 };

/** `access` from kubeconfig.ts → a connection; nothing is sent yet. */
export async function createConnection(access: Access): Promise<Connection> {
  const { credentials } = access;
  if (credentials.kind === 'library') return await createLibraryConnection(access, credentials.what, credentials.path);
  const agent = createAgent(access);
  const authorize = createAuthorizer(access);
  return {
    server: access.server,
    prepare: async () => ({ headers: await authorize(), agent }),
    close: () => agent.destroy(),
  };
}

function createAgent({ server, ca, insecure, serverName, credentials }: Access): Agent {
  if (server.protocol === 'http:') return new Agent(AGENT_OPTIONS);
  return new TlsAgent({
    ...AGENT_OPTIONS,
    rejectUnauthorized: !insecure,
    ...(ca === undefined ? {} : { ca }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(credentials.kind === 'certificate' ? { cert: credentials.cert, key: credentials.key } : {}),
  });
}

function createAuthorizer({ source, credentials }: Access): () => Promise<Readonly<Record<string, string>>> {
  switch (credentials.kind) {
    case 'token':
      return async () => ({ authorization: `Bearer ${credentials.token}` });
    case 'password': {
      const pair = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
      return async () => ({ authorization: `Basic ${pair}` });
    }
    case 'token-file': {
      const read = createTokenReader(source, credentials.path);
      return async () => ({ authorization: `Bearer ${await read()}` });
    }
    case 'none':
    case 'certificate':
    case 'library':
      return async () => ({});
  }
}

function createTokenReader(source: string, path: string): () => Promise<string> {
  let token = '';
  let readAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() - readAt < TOKEN_MAX_AGE_MS) return token;
    try {
      token = (await readFile(path, 'utf8')).trim();
    } catch (cause) {
      // the kubelet replaces the file in place: keep the token we have until the next look
      if (token === '') throw new KubeConfigError(source, `cannot read the token file ${path}`, cause);
    }
    readAt = performance.now();
    return token;
  };
}

async function createLibraryConnection(access: Access, what: string, path: string): Promise<Connection> {
  if (access.server.protocol === 'http:') {
    throw new KubeConfigError(access.source, `${what}: is not supported with a server at http://`);
  }
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (cause) {
    throw new KubeConfigError(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
  return {
    server: access.server,
    prepare: async () => {
      const options: { headers?: OutgoingHttpHeaders; agent?: Agent | boolean | undefined } = {};
      try {
        await config.applyToHTTPSOptions(options);
      } catch (cause) {
        throw new KubeConfigError(path, `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
      }
      return {
        headers: textHeaders(options.headers),
        agent: options.agent instanceof Agent ? options.agent : undefined,
      };
    },
    close: () => undefined,
  };
}

function textHeaders(headers: OutgoingHttpHeaders | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(headers ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}
