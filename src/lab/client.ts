// The lab's own calls to its API server: plain JSON over HTTP, since the server is on loopback and asks for no credentials.
import { readState } from './state.ts';
import type { RawObject } from './objects.ts';

export interface LabClient {
  /** True when the server answers /readyz, undefined while it does not. */
  isReady(): Promise<true | undefined>;
  get(path: string): Promise<Json | undefined>;
  list(path: string): Promise<readonly Json[]>;
  create(path: string, object: RawObject): Promise<Json>;
  mergePatch(path: string, patch: unknown): Promise<Json>;
  remove(path: string): Promise<void>;
}

export type Json = Readonly<Record<string, unknown>>;

/** The API server refused; the message is the server's own. */
export class LabApiError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

const asJson = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};

/** Collection paths of the kinds a lab creates. */
const collections: Readonly<Record<string, string>> = {
  Node: '/api/v1/nodes',
  Pod: '/api/v1/namespaces/default/pods',
  IPPool: '/apis/manx.network/v1/ippools',
  BGPPeer: '/apis/manx.network/v1/bgppeers',
  BGPConfiguration: '/apis/manx.network/v1/bgpconfigurations',
};

export function collectionPath(kind: string): string {
  const path = collections[kind];
  if (path === undefined) throw new LabApiError(`a lab creates no ${kind} objects`, 0);
  return path;
}

async function send(
  base: string,
  request: { method: string; path: string; body?: unknown; type?: string },
): Promise<Json> {
  const response = await fetch(`${base}${request.path}`, {
    method: request.method,
    headers: { 'content-type': request.type ?? 'application/json', accept: 'application/json' },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  });
  const body = asJson(await response.json());
  const message = body['message'];
  if (!response.ok) throw new LabApiError(typeof message === 'string' ? message : response.statusText, response.status);
  return body;
}

export async function createLabClient(lab: string): Promise<LabClient> {
  const state = readState(lab);
  if (state === undefined) throw new LabApiError(`no lab "${lab}" here`, 0);
  const base = `http://127.0.0.1:${state.apiPort}`;
  const get = async (path: string): Promise<Json | undefined> => {
    try {
      return await send(base, { method: 'GET', path });
    } catch (error) {
      if (error instanceof LabApiError && error.status === 404) return undefined;
      throw error;
    }
  };
  return {
    get,
    isReady: async () => {
      try {
        return (await fetch(`${base}/readyz`)).ok ? true : undefined;
      } catch {
        return undefined;
      }
    },
    list: async (path) => {
      const items = (await send(base, { method: 'GET', path }))['items'];
      return Array.isArray(items) ? items.map(asJson) : [];
    },
    create: async (path, body) => await send(base, { method: 'POST', path, body }),
    mergePatch: async (path, body) =>
      await send(base, { method: 'PATCH', path, body, type: 'application/merge-patch+json' }),
    remove: async (path) => {
      try {
        await send(base, { method: 'DELETE', path });
      } catch (error) {
        if (!(error instanceof LabApiError && error.status === 404)) throw error;
      }
    },
  };
}

/** Creates objects in order; Node and Pod status goes through the status subresource, as their kubelet would write it. */
export async function createObjects(client: LabClient, objects: readonly RawObject[]): Promise<void> {
  for (const object of objects) {
    const path = collectionPath(object.kind);
    await client.create(path, object);
    if (object.status !== undefined)
      await client.mergePatch(`${path}/${object.metadata.name}/status`, { status: object.status });
  }
}
