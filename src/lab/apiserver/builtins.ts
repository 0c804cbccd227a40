/**
 * What built-in kinds do that custom resources do not: fields the server fills in at creation, kinds without a
 * generation, updates without a resourceVersion. Everything not listed here behaves as a custom resource does. Pure.
 */
import {
  arrayField,
  asJson,
  isJsonObject,
  type Json,
  type KubeObject,
  objectField,
  plainText,
  textField,
  withMetadata,
} from './objects.ts';
import type { Resource } from './registry.ts';
import type { StatusCause } from './status-objects.ts';

/** True when spec changes of this kind are counted in metadata.generation. */
export function tracksGeneration(resource: Resource): boolean {
  return !resource.builtIn || resource.kind === 'Pod';
}

/** True when an update without a resourceVersion is taken as unconditional. */
export function allowsUnconditionalUpdate(resource: Resource): boolean {
  return resource.builtIn && resource.kind !== 'Lease' && resource.kind !== 'Event';
}

/** True when a PUT of an object that is not there creates it. */
export function allowsCreateOnUpdate(resource: Resource): boolean {
  return resource.kind === 'Lease' && resource.builtIn;
}

/** The kind of name check: namespaces are labels, everything else subdomains. */
export function nameForm(resource: Resource): 'label' | 'subdomain' {
  return resource.builtIn && resource.kind === 'Namespace' ? 'label' : 'subdomain';
}

/** Fills in what the server adds to a new object of a built-in kind. */
export function completeNew(resource: Resource, object: KubeObject): KubeObject {
  if (!resource.builtIn) return object;
  switch (resource.kind) {
    case 'Node':
      return completeNode(object);
    case 'Namespace':
      return completeNamespace(object);
    case 'Pod':
      return { ...object, status: { phase: 'Pending', qosClass: 'BestEffort' } };
    case 'Secret':
      return completeSecret(object);
    default:
      return object;
  }
}

const emptyNodeInfo = [
  'architecture',
  'bootID',
  'containerRuntimeVersion',
  'kernelVersion',
  'kubeProxyVersion',
  'kubeletVersion',
  'machineID',
  'operatingSystem',
  'osImage',
  'systemUUID',
];

/** A Node made through the API is not ready until somebody says so: the admission plugin's taint. */
function completeNode(object: KubeObject): KubeObject {
  const spec = objectField(asJson(object), 'spec') ?? {};
  const taint = { effect: 'NoSchedule', key: 'node.kubernetes.io/not-ready' };
  const taints = arrayField(spec, 'taints');
  const isTainted = taints.some((item) => isJsonObject(item) && item['key'] === taint.key);
  return {
    ...object,
    spec: { ...spec, taints: isTainted ? taints : [...taints, taint] },
    status: {
      daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
      nodeInfo: Object.fromEntries(emptyNodeInfo.map((field) => [field, ''])),
    },
  };
}

function completeNamespace(object: KubeObject): KubeObject {
  const labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name };
  return {
    ...withMetadata(object, { labels }),
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

/** stringData is write-only: it lands base64 in data. */
export function completeSecret(object: KubeObject): KubeObject {
  const strings = objectField(asJson(object), 'stringData');
  if (strings === undefined) return object;
  const data: Record<string, Json> = { ...objectField(asJson(object), 'data') };
  for (const [key, value] of Object.entries(strings)) data[key] = Buffer.from(plainText(value)).toString('base64');
  const { stringData: _, ...rest } = object;
  return { ...rest, apiVersion: object.apiVersion, kind: object.kind, metadata: object.metadata, data };
}

/** Changes of built-in kinds that are refused: a Pod stays on the node it is bound to. */
export function forbiddenChanges(resource: Resource, next: KubeObject, previous: KubeObject): readonly StatusCause[] {
  if (!resource.builtIn || resource.kind !== 'Pod') return [];
  const before = nodeOf(previous);
  if (before === '' || before === nodeOf(next)) return [];
  const message =
    'Forbidden: pod updates may not change fields other than `spec.containers[*].image`,' +
    '`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing ' +
    'tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';
  return [{ reason: 'FieldValueForbidden', message, field: 'spec' }];
}

function nodeOf(pod: KubeObject): string {
  return textField(objectField(asJson(pod), 'spec'), 'nodeName') ?? '';
}

/** Seconds a Pod gets to stop; a Pod that no node runs goes at once. */
export function graceSeconds(resource: Resource, object: KubeObject, asked: number | undefined): number {
  if (resource.kind !== 'Pod' || !resource.builtIn) return 0;
  const spec = objectField(asJson(object), 'spec');
  const phase = objectField(asJson(object), 'status')?.['phase'];
  const isBound = typeof spec?.['nodeName'] === 'string' && spec['nodeName'] !== '';
  if (!isBound || phase === 'Succeeded' || phase === 'Failed') return 0;
  if (asked !== undefined) return asked;
  const own = spec['terminationGracePeriodSeconds'];
  return typeof own === 'number' ? own : 30;
}
