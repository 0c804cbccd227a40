/**
 * The kinds this server knows: custom resources read from CRD manifests (apiextensions.k8s.io/v1) and the built-in
 * kinds described the same way in builtins.yaml. A `Resource` is everything another module needs to serve a kind:
 * names, scope, schema, printer columns, selectable fields, CEL. Invariant: two resources never share a group+plural.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { arrayField, isJsonObject, type JsonObject, objectField, textField } from './objects.ts';
import type { StructuralSchema } from './schema-walk.ts';
import { SchemaValidator } from './schema-check.ts';

export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
  readonly jsonPath: string;
}

export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  /** Built-in kinds have some rules of their own (builtins.ts) and do not prune. */
  readonly builtIn: boolean;
  /** Shown but not written through the API: the CRDs themselves. */
  readonly readOnly: boolean;
  readonly schema: StructuralSchema;
  readonly validator: SchemaValidator;
  readonly columns: readonly PrinterColumn[];
  /** JSON paths, without the leading dot, that a field selector may name. */
  readonly selectableFields: readonly string[];
  /** The manifest it was read from, as `kubectl get crd` shows it. */
  readonly manifest: JsonObject;
}

export class ManifestError extends Error {
  readonly code = 'INVALID_CRD';
}

/** The storage name: `group/plural`. */
export function storageName(resource: { readonly group: string; readonly plural: string }): string {
  return `${resource.group}/${resource.plural}`;
}

/** `group/version`, or the version alone for the core group. */
export function groupVersion(resource: { readonly group: string; readonly version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

export class Registry {
  readonly #resources = new Map<string, Resource>();

  /** Throws ManifestError when the name is taken. */
  add(resource: Resource): void {
    const name = storageName(resource);
    if (this.#resources.has(name)) {
      throw new ManifestError(`CustomResourceDefinition ${resource.plural}.${resource.group} is given twice`);
    }
    this.#resources.set(name, resource);
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    const found = this.#resources.get(`${group}/${plural}`);
    return found?.version === version ? found : undefined;
  }

  all(): readonly Resource[] {
    return [...this.#resources.values()];
  }

  /** Group names in order, the core group ('') left out. */
  groups(): readonly string[] {
    return [...new Set(this.all().map((resource) => resource.group))].filter((group) => group !== '').sort();
  }

  inGroup(group: string, version: string): readonly Resource[] {
    return this.all().filter((resource) => resource.group === group && resource.version === version);
  }
}

/** Reads every CRD of the given files and directories; throws ManifestError naming file, object and field. */
export async function readManifests(paths: readonly string[]): Promise<readonly Resource[]> {
  const resources: Resource[] = [];
  for (const path of paths) {
    for (const file of await manifestFiles(path)) resources.push(...(await readManifest(file)));
  }
  return resources;
}

async function manifestFiles(path: string): Promise<readonly string[]> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw new ManifestError(`${path} does not exist: expected a CRD file or a directory of them`);
  if (!info.isDirectory()) return [path];
  const names = await readdir(path);
  return names
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

async function readManifest(file: string): Promise<readonly Resource[]> {
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  const resources: Resource[] = [];
  for (const document of 'empty' in documents ? [] : documents) {
    const problem = document.errors[0];
    if (problem !== undefined) throw new ManifestError(`${file} is not YAML: ${firstLine(problem.message)}`);
    const manifest: unknown = document.toJS();
    if (manifest === null) continue;
    if (!isJsonObject(manifest))
      throw new ManifestError(`${file} holds no object: expected a CustomResourceDefinition`);
    if (manifest['kind'] !== 'CustomResourceDefinition') continue;
    try {
      resources.push(await resourceOf(manifest));
    } catch (cause) {
      throw new ManifestError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
  return resources;
}

/** One CRD manifest as a Resource; throws ManifestError. */
async function resourceOf(manifest: JsonObject): Promise<Resource> {
  const name = textField(objectField(manifest, 'metadata'), 'name') ?? '(no name)';
  const fail = (field: string, expected: string): never => {
    throw new ManifestError(`CustomResourceDefinition ${name}: ${field} ${expected}`);
  };
  const spec = objectField(manifest, 'spec') ?? fail('spec', 'is missing');
  const names = objectField(spec, 'names') ?? fail('spec.names', 'is missing');
  const group = textField(spec, 'group') ?? fail('spec.group', 'is missing');
  const plural = textField(names, 'plural') ?? fail('spec.names.plural', 'is missing');
  const kind = textField(names, 'kind') ?? fail('spec.names.kind', 'is missing');
  const builtIn = spec['x-built-in'] === true;
  if (!builtIn && name !== `${plural}.${group}`) fail('metadata.name', `must be ${plural}.${group}`);
  const version =
    arrayField(spec, 'versions').find((item) => isJsonObject(item) && item['storage'] === true) ??
    fail('spec.versions', 'must hold one with storage: true');
  if (!isJsonObject(version)) return fail('spec.versions', 'must be objects');
  const schema =
    objectField(objectField(version, 'schema'), 'openAPIV3Schema') ??
    fail('spec.versions[].schema.openAPIV3Schema', 'is missing');
  const hasStatus = objectField(objectField(version, 'subresources'), 'status') !== undefined;
  return {
    group,
    version: textField(version, 'name') ?? fail('spec.versions[].name', 'is missing'),
    plural,
    singular: textField(names, 'singular') ?? kind.toLowerCase(),
    kind,
    listKind: textField(names, 'listKind') ?? `${kind}List`,
    shortNames: texts(names, 'shortNames'),
    categories: texts(names, 'categories'),
    namespaced: textField(spec, 'scope') === 'Namespaced',
    hasStatus,
    builtIn,
    readOnly: spec['x-read-only'] === true,
    schema,
    validator: await SchemaValidator.compile(schema),
    columns: arrayField(version, 'additionalPrinterColumns').filter(isJsonObject).map(columnOf),
    selectableFields: arrayField(version, 'selectableFields')
      .filter(isJsonObject)
      .map((field) => (textField(field, 'jsonPath') ?? '').replace(/^\./, '')),
    manifest,
  };
}

function texts(object: JsonObject, key: string): readonly string[] {
  return arrayField(object, key).filter((item) => typeof item === 'string');
}

function columnOf(column: JsonObject): PrinterColumn {
  const jsonPath = textField(column, 'jsonPath') ?? '';
  const priority = column['priority'];
  return {
    name: textField(column, 'name') ?? '',
    type: textField(column, 'type') ?? 'string',
    format: textField(column, 'format') ?? '',
    description:
      textField(column, 'description') ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: typeof priority === 'number' ? priority : 0,
    jsonPath,
  };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}
