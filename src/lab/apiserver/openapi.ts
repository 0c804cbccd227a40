/**
 * OpenAPI v3 of the kinds, made from their CRD schemas: what kubectl reads to learn that fieldValidation is supported
 * and what `kubectl explain` prints. Pure. OpenAPI v2 (protobuf) is not served: kubectl goes on without it.
 */
import { createHash } from 'node:crypto';
import { type JsonObject, objectField } from './objects.ts';
import { groupVersion, type Registry, type Resource } from './registry.ts';

const metaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** The path of a group version below /openapi/v3, e.g. `apis/manx.network/v1`. */
function documentPath(resource: Resource): string {
  return resource.group === '' ? `api/${resource.version}` : `apis/${groupVersion(resource)}`;
}

/** GET /openapi/v3. */
export function openApiIndex(registry: Registry): object {
  const names = [...new Set(registry.all().map(documentPath))].sort();
  const paths = names.map((name) => {
    const hash = createHash('sha256')
      .update(JSON.stringify(openApiDocument(registry, name)))
      .digest('hex')
      .toUpperCase();
    return [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/** GET /openapi/v3/NAME; undefined when there is no such document. */
export function openApiDocument(registry: Registry, name: string): object | undefined {
  const resources = registry.all().filter((resource) => documentPath(resource) === name);
  if (resources.length === 0) return undefined;
  const schemas = resources.map((resource) => [schemaName(resource), schemaOf(resource)]);
  return {
    openapi: '3.0.0',
    info: { title: 'Manx embedded API server', version: 'v1.36.2' },
    paths: Object.fromEntries(resources.flatMap((resource) => pathsOf(resource))),
    components: { schemas: { ...Object.fromEntries(schemas), [metaName]: objectMeta } },
  };
}

function schemaName(resource: Resource): string {
  if (resource.builtIn)
    return `io.k8s.api.${resource.group.split('.')[0] || 'core'}.${resource.version}.${resource.kind}`;
  return `${resource.group.split('.').reverse().join('.')}.${resource.version}.${resource.kind}`;
}

function kindOf(resource: Resource): object {
  return { group: resource.group, version: resource.version, kind: resource.kind };
}

const described: Readonly<Record<string, JsonObject>> = {
  apiVersion: {
    description:
      'APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized ' +
      'schemas to the latest internal value, and may reject unrecognized values. More info: ' +
      'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources',
    type: 'string',
  },
  kind: {
    description:
      'Kind is a string value representing the REST resource this object represents. Servers may infer this from the ' +
      'endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: ' +
      'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds',
    type: 'string',
  },
  metadata: {
    description:
      "Standard object's metadata. More info: " +
      'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata',
    allOf: [{ $ref: `#/components/schemas/${metaName}` }],
  },
};

function schemaOf(resource: Resource): object {
  const properties = objectField(resource.schema, 'properties') ?? {};
  return {
    ...resource.schema,
    properties: { ...properties, ...described },
    'x-kubernetes-group-version-kind': [kindOf(resource)],
  };
}

const text = { type: 'string' };
const textMap = { type: 'object', additionalProperties: text };
const objectMeta: JsonObject = {
  description: 'ObjectMeta is metadata that all persisted resources must have.',
  type: 'object',
  properties: {
    annotations: textMap,
    creationTimestamp: { type: 'string', format: 'date-time' },
    deletionGracePeriodSeconds: { type: 'integer', format: 'int64' },
    deletionTimestamp: { type: 'string', format: 'date-time' },
    finalizers: { type: 'array', items: text },
    generateName: text,
    generation: { type: 'integer', format: 'int64' },
    labels: textMap,
    managedFields: { type: 'array', items: { type: 'object' } },
    name: text,
    namespace: text,
    ownerReferences: { type: 'array', items: { type: 'object' } },
    resourceVersion: text,
    selfLink: text,
    uid: text,
  },
};

function parameters(...names: readonly string[]): readonly object[] {
  return names.map((name) => ({ name, in: 'query', schema: text }));
}

function pathsOf(resource: Resource): readonly (readonly [string, object])[] {
  const base = `/${documentPath(resource)}${resource.namespaced ? '/namespaces/{namespace}' : ''}/${resource.plural}`;
  const operation = (action: string, names: readonly string[]): object => ({
    operationId: `${action}${resource.kind}`,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindOf(resource),
    parameters: parameters(...names),
    responses: { 200: { description: 'OK' } },
  });
  const write = ['dryRun', 'fieldManager', 'fieldValidation'];
  const item = {
    get: operation('get', ['resourceVersion']),
    put: operation('put', write),
    patch: operation('patch', write),
    delete: operation('delete', ['dryRun', 'gracePeriodSeconds', 'propagationPolicy']),
  };
  const collection = {
    get: operation('list', ['allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'watch']),
    post: operation('post', write),
  };
  const paths: (readonly [string, object])[] = [
    [base, collection],
    [`${base}/{name}`, item],
  ];
  if (resource.hasStatus) paths.push([`${base}/{name}/status`, { get: item.get, put: item.put, patch: item.patch }]);
  return paths;
}
