/**
 * The Store of #ipam over the Kubernetes API: a block is an IPAMBlock, an affinity a BlockAffinity, and the revision is the
 * resourceVersion, so that every write is a compare-and-swap by the API server. What a store must keep: ipam/store.contract.ts.
 *
 * The invariant: an answer is acknowledged only when the API server said so; anything uncertain is UNAVAILABLE.
 */
import {
  type Block,
  type BlockAffinity,
  type CallOptions,
  type Collection,
  IpamError,
  type IpamStore,
  type Revisioned,
} from '#ipam';
import type { KubeClient } from './client.ts';
import { isStatus, KubeConfigError, KubeError } from './errors.ts';
import type { ParseResult } from './informer-table.ts';
import { parseBlockAffinity, toAffinitySpec } from './kinds/block-affinity.ts';
import { parseIPAMBlock, toBlockSpec } from './kinds/ipam-block.ts';
import { asKubeObject, isKubeObject, type KubeObject } from './objects.ts';
import { apiVersionOf, type ResourceDef, resources } from './resources.ts';

interface Codec<T> {
  readonly resource: ResourceDef;
  readonly parse: (object: KubeObject) => ParseResult<T>;
  readonly toSpec: (value: T) => object;
}

const BLOCKS: Codec<Block> = { resource: resources.ipamBlocks, parse: parseIPAMBlock, toSpec: toBlockSpec };
const AFFINITIES: Codec<BlockAffinity> = {
  resource: resources.blockAffinities,
  parse: parseBlockAffinity,
  toSpec: toAffinitySpec,
};

export function createIpamStore(client: KubeClient): IpamStore {
  return { blocks: createCollection(client, BLOCKS), affinities: createCollection(client, AFFINITIES) };
}

function createCollection<T>(client: KubeClient, codec: Codec<T>): Collection<T> {
  const { resource } = codec;
  return {
    async get(name, options) {
      return await attempt(resource, name, options, async () => {
        const object = await client.find(resource, name, options);
        return object === undefined ? undefined : decode(codec, object);
      });
    },
    async list(options) {
      return await attempt(resource, '', options, async () => {
        const { items } = await client.list(resource, options);
        return items.flatMap((item) => understood(codec, item));
      });
    },
    async create(name, value, options) {
      const object = encode(codec, name, value);
      return await attempt(resource, name, options, async () =>
        decode(codec, await client.create(resource, object, options)),
      );
    },
    async update(name, value, revision, options) {
      const object = encode(codec, name, value, revision);
      return await attempt(resource, name, options, async () =>
        decode(codec, await client.replace(resource, object, options)),
      );
    },
    async remove(name, revision, options) {
      const preconditions = { resourceVersion: revision };
      await attempt(
        resource,
        name,
        options,
        async () => await client.delete(resource, name, { ...options, preconditions }),
      );
    },
  };
}

function encode<T>({ resource, toSpec }: Codec<T>, name: string, value: T, resourceVersion?: string): KubeObject {
  const metadata = resourceVersion === undefined ? { name } : { name, resourceVersion };
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, metadata, spec: toSpec(value) };
}

/** Throws IpamError CORRUPT for an object that cannot be understood. */
function decode<T>({ resource, parse }: Codec<T>, object: KubeObject): Revisioned<T> {
  const { name, resourceVersion } = object.metadata;
  const result = parse(object);
  if (!result.ok) throw new IpamError('CORRUPT', `${resource.kind} ${name}: ${result.reason}`);
  if (resourceVersion === undefined)
    throw new IpamError('CORRUPT', `${resource.kind} ${name}: metadata.resourceVersion: is missing`);
  return { value: result.value, revision: resourceVersion };
}

function understood<T>(codec: Codec<T>, item: unknown): readonly Revisioned<T>[] {
  if (!isKubeObject(item)) return [];
  const result = codec.parse(item);
  return result.ok ? [decode(codec, asKubeObject(item, codec.resource.plural))] : [];
}

async function attempt<R>(
  resource: ResourceDef,
  name: string,
  { signal }: CallOptions,
  call: () => Promise<R>,
): Promise<R> {
  try {
    return await call();
  } catch (error) {
    throw toIpamError(error, `${resource.kind} ${name}`.trim(), signal);
  }
}

/** What is neither a failure of the API server nor the caller's wish is a fault of ours, and passes. */
function toIpamError(error: unknown, what: string, signal: AbortSignal): unknown {
  if (signal.aborted) return new IpamError('ABORTED', `${what}: the call was given up`, error);
  if (!(error instanceof KubeError || error instanceof KubeConfigError)) return error;
  const message = `${what}: ${error.message}`;
  if (isStatus(error, 404)) return new IpamError('NOT_FOUND', message, error);
  if (isStatus(error, 409)) return new IpamError('CONFLICT', message, error);
  return new IpamError('UNAVAILABLE', message, error);
}
