import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { type CelSchema, createCelValidator } from '#kube';

interface Schema extends CelSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly nullable?: boolean;
}

interface Crd {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: {
      readonly plural: string;
      readonly kind: string;
      readonly listKind: string;
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly versions: readonly {
      readonly name: string;
      readonly selectableFields?: readonly { readonly jsonPath: string }[];
      readonly additionalPrinterColumns: readonly {
        readonly name: string;
        readonly type: string;
        readonly jsonPath: string;
      }[];
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

const folder = import.meta.dirname;
const crds = new Map<string, Crd>();
for (const file of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) {
  crds.set(file, parse(readFileSync(`${folder}/${file}`, 'utf8'), { strict: true, uniqueKeys: true }) as Crd);
}

function schemaOf(crd: Crd): Schema {
  const schema = crd.spec.versions[0]?.schema.openAPIV3Schema;
  assert.ok(schema, `${crd.metadata.name} has a schema`);
  return schema;
}

function visit(schema: Schema, path: string, see: (schema: Schema, path: string) => void): void {
  see(schema, path);
  for (const [name, property] of Object.entries(schema.properties ?? {})) visit(property, `${path}.${name}`, see);
  if (typeof schema.additionalProperties === 'object') visit(schema.additionalProperties, `${path}[*]`, see);
  if (schema.items !== undefined) visit(schema.items, `${path}[]`, see);
}

function resolve(schema: Schema, jsonPath: string): Schema | undefined {
  let at: Schema | undefined = schema;
  for (const step of jsonPath
    .replace(/\[\?\([^)]*\)\]/g, '.[]')
    .split('.')
    .filter(Boolean)) {
    at = step === '[]' ? at?.items : at?.properties?.[step];
  }
  return at;
}

const METADATA_COLUMNS = new Set(['.metadata.creationTimestamp']);

for (const [file, crd] of crds) {
  suite(file, () => {
    const { names, group } = crd.spec;
    const schema = schemaOf(crd);

    test('is named for its plural, cluster-scoped, in the category manx, with a short name', () => {
      assert.equal(file, `${names.plural}.yaml`);
      assert.equal(crd.metadata.name, `${names.plural}.${group}`);
      assert.equal(group, 'manx.network');
      assert.equal(crd.spec.scope, 'Cluster');
      assert.equal(names.listKind, `${names.kind}List`);
      assert.ok(names.categories.includes('manx'));
      assert.ok(names.shortNames.length > 0);
    });

    test('is structural: every place has a type, and properties or additionalProperties but not both', () => {
      visit(schema, '', (at, path) => {
        assert.ok(at.type !== undefined, `${path} has a type`);
        assert.ok(
          at.properties === undefined || at.additionalProperties === undefined,
          `${path} is one kind of object`,
        );
        if (at.type === 'array') assert.ok(at.items !== undefined, `${path} has items`);
        for (const name of at.required ?? [])
          assert.ok(at.properties?.[name], `${path} requires ${name}, which it has`);
      });
    });

    test('describes every field', () => {
      visit(schema, '', (at, path) => {
        // a real API server refuses a CRD that says anything of metadata but its type
        if (path === '.metadata') return assert.deepEqual(at, { type: 'object' });
        if (path.endsWith('[*]') || (path.endsWith('[]') && at.type === 'string')) return;
        if (path.endsWith('[]') && at['x-kubernetes-preserve-unknown-fields'] === true) return;
        assert.ok((at.description ?? '').length > 0, `${path} has a description`);
        assert.match(at.description ?? '', /\.$/, `${path} is described in a sentence`);
      });
    });

    test('bounds every string, list and map, so that rules have a bounded cost', () => {
      visit(schema, '', (at, path) => {
        if (path.startsWith('.metadata') || path === '.apiVersion' || path === '.kind') return;
        if (at.type === 'string' && at.enum === undefined && at.format === undefined)
          assert.ok(at.maxLength, `${path} maxLength`);
        if (at.type === 'array') assert.ok(at.maxItems, `${path} maxItems`);
        if (at.additionalProperties !== undefined) assert.ok(at.maxProperties, `${path} maxProperties`);
      });
    });

    test('has defaults that the schema itself accepts', () => {
      const ajv = new Ajv({ strict: false, validateFormats: false });
      visit(schema, '', (at, path) => {
        if (at.default !== undefined) assert.ok(ajv.validate(at, at.default), `${path}: ${ajv.errorsText()}`);
      });
    });

    test('has columns and selectable fields that exist in the schema', () => {
      const version = crd.spec.versions[0];
      assert.ok(version);
      for (const { jsonPath, type } of version.additionalPrinterColumns) {
        if (METADATA_COLUMNS.has(jsonPath)) continue;
        const field = resolve(schema, jsonPath);
        assert.ok(field, `${jsonPath} exists`);
        if (field.type !== 'array') assert.equal(type, field.type, `${jsonPath} has the type of its column`);
      }
      for (const { jsonPath } of version.selectableFields ?? []) {
        assert.match(resolve(schema, jsonPath)?.type ?? '', /^(string|boolean|integer)$/, jsonPath);
      }
      assert.equal(version.additionalPrinterColumns.at(-1)?.name, 'Age');
    });

    test('has rules that all compile, each with a message', async () => {
      await createCelValidator(schema);
      visit(schema, '', (at, path) => {
        for (const rule of at['x-kubernetes-validations'] ?? []) assert.ok(rule.message, `${path}: ${rule.rule}`);
      });
    });
  });
}

interface Case {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly old?: Readonly<Record<string, unknown>>;
  readonly object?: string;
  /** Fields at fault, in any order; none = the object is good. */
  readonly broken?: readonly string[];
}

/** Also judged by the code of a real API server: test/kubernetes/real-rules. */
const cases: Readonly<Record<string, readonly Case[]>> = JSON.parse(readFileSync(`${folder}/cases.json`, 'utf8'));

suite('objects judged by the rules of their kind', () => {
  test('there are cases for every kind', () => assert.deepEqual(Object.keys(cases).sort(), [...crds.keys()].sort()));

  for (const [file, rows] of Object.entries(cases)) {
    for (const row of rows) {
      test(`${file}: ${row.name} is ${row.broken === undefined ? 'good' : `refused at ${row.broken.join(', ') || '(root)'}`}`, async () => {
        const crd = crds.get(file);
        assert.ok(crd);
        const validate = await createCelValidator(schemaOf(crd));
        const metadata = { name: row.object ?? 'x' };
        const found = validate(
          { metadata, spec: row.spec },
          row.old === undefined ? undefined : { metadata, spec: row.old },
        );
        assert.deepEqual(
          [...new Set(found.map((violation) => violation.field))].sort(),
          [...(row.broken ?? [])].sort(),
        );
      });
    }
  }
});
