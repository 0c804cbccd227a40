/**
 * Discovery: which groups, versions and resources there are, in the legacy form (APIGroupList, APIResourceList) and in
 * the aggregated one kubectl asks first (apidiscovery.k8s.io/v2, KEP-3352). Pure.
 */
import { groupVersion, type Registry, type Resource } from './registry.ts';

const crdVerbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const builtInVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const statusVerbs = ['get', 'patch', 'update'];

function verbsOf(resource: Resource): readonly string[] {
  if (resource.readOnly) return ['get', 'list', 'watch'];
  return resource.builtIn ? builtInVerbs : crdVerbs;
}

/** GET /api. */
export function apiVersions(address: string): object {
  const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress: address }];
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs };
}

function versionsOf(registry: Registry, group: string): readonly string[] {
  return [...new Set(registry.all().flatMap((resource) => (resource.group === group ? [resource.version] : [])))];
}

function describeGroup(registry: Registry, name: string): object {
  const versions = versionsOf(registry, name).map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions, preferredVersion: versions[0] };
}

/** GET /apis. */
export function apiGroupList(registry: Registry): object {
  const groups = registry.groups().map((name) => describeGroup(registry, name));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

/** GET /apis/GROUP; undefined when there is no such group. */
export function apiGroup(registry: Registry, name: string): object | undefined {
  if (!registry.groups().includes(name)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(registry, name) };
}

/** GET /api/v1 or /apis/GROUP/VERSION; undefined when nothing is served there. */
export function apiResourceList(registry: Registry, group: string, version: string): object | undefined {
  const resources = registry.inGroup(group, version);
  const first = resources[0];
  if (first === undefined) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersion(first),
    resources: resources.flatMap(legacyEntries),
  };
}

function legacyEntries(resource: Resource): readonly object[] {
  const { plural, singular, namespaced, kind } = resource;
  const names = namesOf(resource);
  const entry = { name: plural, singularName: singular, namespaced, kind, verbs: verbsOf(resource), ...names };
  if (!resource.hasStatus) return [entry];
  return [entry, { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: statusVerbs }];
}

function namesOf(resource: Resource): object {
  const { shortNames, categories } = resource;
  return {
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
}

/** GET /api (core) or /apis (the rest) as APIGroupDiscoveryList. */
export function aggregatedDiscovery(registry: Registry, which: 'core' | 'groups'): object {
  const groups = which === 'core' ? [''] : registry.groups();
  const items = groups.map((group) => ({
    metadata: group === '' ? {} : { name: group },
    versions: versionsOf(registry, group).map((version) => ({
      version,
      resources: [...registry.inGroup(group, version)].sort(byPlural).map(aggregatedEntry),
      freshness: 'Current',
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', metadata: {}, items };
}

function byPlural(a: Resource, b: Resource): number {
  return a.plural < b.plural ? -1 : 1;
}

function aggregatedEntry(resource: Resource): object {
  const responseKind = { group: resource.group, version: resource.version, kind: resource.kind };
  const status = { subresource: 'status', responseKind, verbs: statusVerbs };
  return {
    resource: resource.plural,
    responseKind,
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: verbsOf(resource),
    ...namesOf(resource),
    ...(resource.hasStatus ? { subresources: [status] } : {}),
  };
}

/** GET /version: the release whose behaviour is copied, named as what it is. */
export function versionInfo(): object {
  return {
    major: '1',
    minor: '36',
    gitVersion: 'v1.36.2+manx-embedded',
    gitCommit: '',
    gitTreeState: '',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: '',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
