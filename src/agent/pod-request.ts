// What a pod asks of IPAM: addresses and pools by annotation of the Pod, of its Namespace, or by the CNI configuration. Pure.
//
//   manx.network/ipAddrs    ["10.64.0.7","fd00::7"]     Pod only; at most one per family
//   manx.network/ipv4pools  ["web","10.65.0.0/16"]      Pod, else Namespace, else ipam.ipv4_pools of the CNI configuration
//   manx.network/ipv6pools
//
// Each key is also read with Calico's prefix; ours counts when both are there. A family for which nothing is asked is
// served as for any pod; what is asked and malformed, or cannot be had, is an error: a pod never starts on another address.
import { eligiblePools, IpamError, type AssignOptions, type Pool, type PoolChoice } from '#ipam';
import { familyOf, type Family, type Ip, parseIp } from '#net';
import { matches, parseSelector } from '#selector';
import { families, type Addresses, type NamespaceObject, type PoolObject } from './cluster-view.ts';

type Annotations = Readonly<Record<string, string>>;

/** Pools by name or CIDR. */
export type RequestedPools = Readonly<Partial<Record<Family, readonly string[]>>>;

export interface RequestSources {
  readonly pod: Annotations;
  /** Undefined for what is no pod of Kubernetes: every pool's namespaceSelector admits it. */
  readonly namespace: NamespaceObject | undefined;
  readonly configured: RequestedPools;
}

export interface NodePools {
  /** As IPAM sees them, and as they were written. */
  readonly pools: readonly Pool[];
  readonly objects: readonly PoolObject[];
  readonly addresses: Addresses;
}

export type AddressRequest = Pick<AssignOptions, 'families' | 'addresses' | 'pools'>;

const prefixes = ['manx.network/', 'cni.projectcalico.org/'];
const poolKeys: Readonly<Record<Family, string>> = { 4: 'ipv4pools', 6: 'ipv6pools' };

/** The pod's request to the allocator. Throws IpamError INVALID_REQUEST naming the annotation. */
export function addressRequest(sources: RequestSources, node: NodePools): AddressRequest {
  const addresses = requestedAddresses(sources.pod);
  const whyNot = namespaceRule(sources.namespace, node.objects);
  const pools: Partial<Record<Family, PoolChoice>> = {};
  const wanted: Family[] = [];
  for (const family of families) {
    const requested = requestedPools(sources, family);
    const choice: PoolChoice = { requested, whyNot };
    pools[family] = choice;
    const isAsked = requested !== undefined || addresses.some((ip) => familyOf(ip) === family);
    if (isAsked && node.addresses[family] === undefined)
      throw invalid(`the pod asks for an IPv${family} address, and this node has none itself`);
    if (isAsked || (node.addresses[family] !== undefined && eligiblePools(node.pools, family, choice).length > 0))
      wanted.push(family);
  }
  // With no family left the allocator says why, pool by pool.
  const [first = 4] = families.filter((family) => node.addresses[family] !== undefined);
  return { families: wanted.length === 0 ? [first] : wanted, addresses, pools };
}

function requestedAddresses(annotations: Annotations): readonly Ip[] {
  const found = annotation(annotations, 'ipAddrs');
  if (found === undefined) return [];
  const ips = textList(found).map((text) => {
    try {
      return parseIp(text);
    } catch (error) {
      throw invalid(`annotation ${found.key}: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  for (const family of families) {
    const ofFamily = ips.filter((ip) => familyOf(ip) === family);
    if (ofFamily.length > 1)
      throw invalid(`annotation ${found.key}: ${ofFamily.join(' and ')}, expected at most one IPv${family} address`);
  }
  return ips;
}

/** The first of Pod, Namespace and CNI configuration that says anything. */
function requestedPools({ pod, namespace, configured }: RequestSources, family: Family): readonly string[] | undefined {
  for (const annotations of [pod, namespace?.annotations ?? {}]) {
    const found = annotation(annotations, poolKeys[family]);
    if (found !== undefined) return textList(found);
  }
  return configured[family];
}

interface Annotation {
  readonly key: string;
  readonly text: string;
}

function annotation(annotations: Annotations, name: string): Annotation | undefined {
  for (const prefix of prefixes) {
    const key = `${prefix}${name}`;
    const text = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
    if (text !== undefined) return { key, text };
  }
  return undefined;
}

/** A JSON list of at least one text. */
function textList({ key, text }: Annotation): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')) return value;
  throw invalid(`annotation ${key}: ${JSON.stringify(text)}, expected a JSON list of text such as ["a"]`);
}

function namespaceRule(namespace: NamespaceObject | undefined, objects: readonly PoolObject[]): PoolChoice['whyNot'] {
  if (namespace === undefined) return undefined;
  const selectors = new Map(objects.map(({ name, namespaceSelector }) => [name, namespaceSelector]));
  return ({ name }) => {
    const selector = selectors.get(name);
    return selector === undefined || matches(parseSelector(selector), namespace.labels)
      ? undefined
      : `does not select namespace ${namespace.name}`;
  };
}

function invalid(message: string): IpamError {
  return new IpamError('INVALID_REQUEST', message);
}
