/**
 * What a store holds before the first client comes: the namespaces every cluster has, and the CRDs the server was
 * started with, shown as objects (read-only, so that `kubectl get crd` and `kubectl wait` work).
 */
import type { Engine } from './engine.ts';
import { asJson, asKubeObject, formatTime, isJsonObject, type JsonObject, jsonEqual, objectField } from './objects.ts';
import { type Resource, storageName } from './registry.ts';
import { emptyNamespace } from './remove.ts';

const definitions = { group: 'apiextensions.k8s.io', plural: 'customresourcedefinitions' };

/** Writes what is missing; a store that was empty has no history before this. */
export async function bootstrap(engine: Engine): Promise<void> {
  const { store } = engine;
  const isNew = store.revision === 0;
  for (const name of ['default', 'kube-system']) await ensureNamespace(engine, name);
  const custom = engine.registry.all().filter((resource) => !resource.builtIn);
  for (const resource of custom) await ensureDefinition(engine, resource);
  const wanted = new Set(custom.map((resource) => `${resource.plural}.${resource.group}`));
  for (const stored of store.list(storageName(definitions))) {
    if (!wanted.has(stored.key)) await store.remove(storageName(definitions), stored.key, stored.object);
  }
  if (isNew) store.forgetHistory();
  await finishNamespaces(engine);
}

/** Namespaces that were being deleted when the server stopped. */
async function finishNamespaces(engine: Engine): Promise<void> {
  const namespaces = engine.registry.find('', 'v1', 'namespaces');
  if (namespaces === undefined) return;
  for (const stored of engine.store.list(storageName(namespaces))) {
    if (stored.object.metadata.deletionTimestamp !== undefined) await emptyNamespace(engine, namespaces, stored.key);
  }
}

async function ensureNamespace(engine: Engine, name: string): Promise<void> {
  const namespaces = storageName({ group: '', plural: 'namespaces' });
  if (engine.store.get(namespaces, name) !== undefined) return;
  await engine.store.put(namespaces, name, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      uid: engine.uuid(),
      creationTimestamp: formatTime(engine.now()),
      labels: { 'kubernetes.io/metadata.name': name },
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
}

async function ensureDefinition(engine: Engine, resource: Resource): Promise<void> {
  const name = `${resource.plural}.${resource.group}`;
  const spec = objectField(resource.manifest, 'spec') ?? {};
  const known = engine.store.get(storageName(definitions), name);
  if (known !== undefined && jsonEqual(asJson(known.object)['spec'], spec)) return;
  const now = formatTime(engine.now());
  const condition = (type: string, reason: string, message: string): JsonObject => ({
    type,
    status: 'True',
    reason,
    message,
    lastTransitionTime: now,
  });
  const names = isJsonObject(spec['names']) ? spec['names'] : {};
  const definition = asKubeObject({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name,
      uid: known?.object.metadata.uid ?? engine.uuid(),
      creationTimestamp: known?.object.metadata.creationTimestamp ?? now,
      generation: (known?.object.metadata.generation ?? 0) + 1,
    },
    spec,
    status: {
      acceptedNames: names,
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      storedVersions: [resource.version],
    },
  });
  await engine.store.put(storageName(definitions), name, definition);
}
