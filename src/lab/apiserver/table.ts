/**
 * Tables, the form `kubectl get` prints (meta.k8s.io/v1 Table): column definitions of a kind and one row an object.
 * Every column is sent, priority 1 ones too; kubectl hides them without -o wide. Pure, `now` is handed in for ages.
 */
import { ageOf } from './age.ts';
import { builtInTable } from './builtin-columns.ts';
import { ageColumn, type ColumnDefinition, nameColumn, type TableShape } from './columns.ts';
import { firstAt, type JsonPath, parseJsonPath } from './json-path.ts';
import { asJson, isJsonObject, type KubeObject, plainText } from './objects.ts';
import type { PrinterColumn, Resource } from './registry.ts';

const shapes = new WeakMap<Resource, TableShape>();

/** The columns of a kind; throws for a printer column whose path is not supported. */
export function tableShape(resource: Resource): TableShape {
  const known = shapes.get(resource);
  if (known !== undefined) return known;
  const made = (resource.builtIn ? builtInTable(resource.kind) : undefined) ?? columnsOf(resource.columns);
  shapes.set(resource, made);
  return made;
}

function columnsOf(printer: readonly PrinterColumn[]): TableShape {
  if (printer.length === 0) {
    return {
      columns: [nameColumn, ageColumn],
      cells: ({ metadata }, now) => [metadata.name, ageOf(metadata.creationTimestamp, now)],
    };
  }
  const paths = printer.map((column): [PrinterColumn, JsonPath] => [column, parseJsonPath(column.jsonPath)]);
  return {
    columns: [nameColumn, ...printer.map(definitionOf)],
    cells: (object, now) => [
      object.metadata.name,
      ...paths.map(([column, path]) => cellOf(column.type, firstAt(asJson(object), path), now)),
    ],
  };
}

function definitionOf(column: PrinterColumn): ColumnDefinition {
  const { name, type, format, description, priority } = column;
  return { name, type, format, description, priority };
}

/** One cell; absent values and values of another type than the column are null. */
function cellOf(type: string, value: unknown, now: number): unknown {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return plainText(value);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return ageOf(value, now);
    default:
      return null;
  }
}

export interface TableOptions {
  readonly version: string;
  readonly includeObject: 'None' | 'Metadata' | 'Object';
  readonly now: number;
}

/** A Table document; `withColumns` is false for all but the first event of a watch. */
export function makeTable(
  resource: Resource,
  objects: readonly KubeObject[],
  options: TableOptions & { readonly metadata: object; readonly withColumns: boolean },
): object {
  const shape = tableShape(resource);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata: options.metadata,
    columnDefinitions: options.withColumns ? shape.columns : null,
    rows: objects.map((object) => ({
      cells: shape.cells(object, options.now),
      object: rowObject(object, options),
    })),
  };
}

function rowObject(object: KubeObject, options: TableOptions): unknown {
  if (options.includeObject === 'None') return null;
  return options.includeObject === 'Object' ? object : partialMetadata(object, options.version);
}

/** The metadata of an object as a document of its own. */
export function partialMetadata(object: KubeObject, version: string): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

/** The Table of a bookmark: one row of empty cells that carries the revision. */
export function bookmarkTable(
  resource: Resource,
  metadata: KubeObject['metadata'],
  options: { readonly version: string; readonly withColumns: boolean },
): object {
  const { columns } = tableShape(resource);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata: { resourceVersion: metadata.resourceVersion },
    columnDefinitions: options.withColumns ? columns : null,
    rows: [
      {
        cells: columns.map((_, index) => (index === 0 ? '' : null)),
        object: {
          kind: 'PartialObjectMetadata',
          apiVersion: `meta.k8s.io/${options.version}`,
          metadata: withoutName(metadata),
        },
      },
    ],
  };
}

/** Metadata of a bookmark: no name. */
export function withoutName(metadata: KubeObject['metadata']): object {
  const { name: _, ...rest } = metadata;
  return isJsonObject(rest) ? rest : {};
}
