// crds/*.yaml as data, for the generators: the schema as people wrote it and what is asked about it.
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Schema {
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly nullable?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string; readonly message: string }[];
}

export interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly priority?: number;
}

export interface Crd {
  readonly file: string;
  readonly names: {
    readonly kind: string;
    readonly plural: string;
    readonly shortNames: readonly string[];
  };
  readonly group: string;
  readonly version: string;
  readonly hasStatus: boolean;
  readonly columns: readonly Column[];
  readonly selectable: readonly string[];
  readonly schema: Schema;
}

interface RawCrd {
  readonly spec: {
    readonly group: string;
    readonly names: Crd['names'];
    readonly versions: readonly {
      readonly name: string;
      readonly subresources?: { readonly status?: unknown };
      readonly additionalPrinterColumns: readonly Column[];
      readonly selectableFields?: readonly { readonly jsonPath: string }[];
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

/** Every CRD of the folder, by file name. */
export function readCrds(folder: string): readonly Crd[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  return files.toSorted().map((file) => toCrd(file, parse(readFileSync(`${folder}/${file}`, 'utf8')) as RawCrd));
}

function toCrd(file: string, { spec }: RawCrd): Crd {
  const [version] = spec.versions;
  if (version === undefined) throw new Error(`${file}: has no version`);
  return {
    file,
    names: spec.names,
    group: spec.group,
    version: version.name,
    hasStatus: version.subresources?.status !== undefined,
    columns: version.additionalPrinterColumns,
    selectable: (version.selectableFields ?? []).map(({ jsonPath }) => jsonPath),
    schema: version.schema.openAPIV3Schema,
  };
}

/** A field that is declared only so that it can be refused by name. */
export function isRefused(schema: Schema): boolean {
  return (schema['x-kubernetes-validations'] ?? []).some(({ rule }) => rule === 'false');
}
