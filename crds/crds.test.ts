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

const pool = { nodeSelector: 'all()' };
const peer = { peerIP: '10.0.0.1', asNumber: 64512 };

const cases: Readonly<Record<string, readonly Case[]>> = {
  'ippools.yaml': [
    { name: 'an IPv4 pool', spec: { ...pool, cidr: '10.64.0.0/16' } },
    { name: 'an IPv6 pool', spec: { ...pool, cidr: 'fd00:10:64::/56' } },
    { name: 'text that is no CIDR', spec: { ...pool, cidr: '10.64.0.0' }, broken: ['spec.cidr'] },
    { name: 'host bits', spec: { ...pool, cidr: '10.64.0.1/16' }, broken: ['spec.cidr'] },
    { name: 'IPv6 host bits', spec: { ...pool, cidr: 'fd00::1/56' }, broken: ['spec.cidr'] },
    { name: 'a link-local range', spec: { ...pool, cidr: '169.254.7.0/24' }, broken: ['spec.cidr'] },
    { name: 'a range that covers multicast', spec: { ...pool, cidr: '0.0.0.0/0' }, broken: ['spec.cidr'] },
    { name: 'an IPv6 multicast range', spec: { ...pool, cidr: 'ff05::/64' }, broken: ['spec.cidr'] },
    { name: 'a pool of one block', spec: { ...pool, cidr: '10.64.0.0/26' } },
    { name: 'a pool smaller than a block', spec: { ...pool, cidr: '10.64.0.0/27' }, broken: ['spec'] },
    { name: 'a small pool of small blocks', spec: { ...pool, cidr: '10.64.0.0/27', blockSize: 29 } },
    {
      name: 'an IPv6 block size in IPv4',
      spec: { ...pool, cidr: '10.64.0.0/16', blockSize: 122 },
      broken: ['spec.blockSize'],
    },
    {
      name: 'an IPv4 block size in IPv6',
      spec: { ...pool, cidr: 'fd00::/56', blockSize: 26 },
      broken: ['spec', 'spec.blockSize'],
    },
    {
      name: 'global() in nodeSelector',
      spec: { cidr: '10.64.0.0/16', nodeSelector: 'global()' },
      broken: ['spec.nodeSelector'],
    },
    {
      name: 'namespaceSelector, which is refused by name',
      spec: { ...pool, cidr: '10.64.0.0/16', namespaceSelector: 'all()' },
      broken: ['spec.namespaceSelector'],
    },
    {
      name: 'the same cidr on update',
      spec: { ...pool, cidr: '10.64.0.0/16', blockSize: 26, disabled: true },
      old: { ...pool, cidr: '10.64.0.0/16' },
    },
    {
      name: 'another cidr on update',
      spec: { ...pool, cidr: '10.65.0.0/16' },
      old: { ...pool, cidr: '10.64.0.0/16' },
      broken: ['spec.cidr'],
    },
    {
      name: 'another block size on update',
      spec: { ...pool, cidr: '10.64.0.0/16', blockSize: 27 },
      old: { ...pool, cidr: '10.64.0.0/16' },
      broken: ['spec.blockSize'],
    },
  ],
  'bgppeers.yaml': [
    { name: 'an IPv4 peer', spec: peer },
    { name: 'an IPv6 peer', spec: { ...peer, peerIP: 'fd00::1' } },
    { name: 'an IPv4 peer with a port', spec: { ...peer, peerIP: '10.0.0.1:1790' } },
    { name: 'an IPv6 peer with a port', spec: { ...peer, peerIP: '[fd00::1]:1790' } },
    { name: 'a name', spec: { ...peer, peerIP: 'tor-1' }, broken: ['spec.peerIP'] },
    { name: 'a port too large', spec: { ...peer, peerIP: '10.0.0.1:65536' }, broken: ['spec.peerIP'] },
    { name: 'an IPv6 port too large', spec: { ...peer, peerIP: '[fd00::1]:65536' }, broken: ['spec.peerIP'] },
    { name: 'brackets without a port', spec: { ...peer, peerIP: '[fd00::1]' }, broken: ['spec.peerIP'] },
    { name: 'brackets about IPv4', spec: { ...peer, peerIP: '[10.0.0.1]:179' }, broken: ['spec.peerIP'] },
    { name: 'a zone', spec: { ...peer, peerIP: 'fe80::1%eth0' }, broken: ['spec.peerIP'] },
    { name: 'AS_TRANS', spec: { ...peer, asNumber: 23456 }, broken: ['spec.asNumber'] },
    { name: 'AS 65535', spec: { ...peer, asNumber: 65535 }, broken: ['spec.asNumber'] },
    { name: 'a 4-octet AS', spec: { ...peer, asNumber: 4200000000 } },
    {
      name: 'node and nodeSelector',
      spec: { ...peer, node: 'a', nodeSelector: 'all()' },
      broken: ['spec.nodeSelector'],
    },
    { name: 'timers', spec: { ...peer, holdTime: '1m30s', keepaliveTime: '30s' } },
    { name: 'no hold timer', spec: { ...peer, holdTime: '0s' } },
    { name: 'a hold time of two seconds', spec: { ...peer, holdTime: '2s' }, broken: ['spec.holdTime'] },
    {
      name: 'a keepalive too slow for the hold time',
      spec: { ...peer, holdTime: '9s', keepaliveTime: '4s' },
      broken: ['spec.holdTime'],
    },
    {
      name: 'a password, which is refused by name',
      spec: { ...peer, password: { secretKeyRef: {} } },
      broken: ['spec.password'],
    },
    { name: 'filters, which are refused by name', spec: { ...peer, filters: ['a'] }, broken: ['spec.filters'] },
    { name: 'ttlSecurity, which is refused by name', spec: { ...peer, ttlSecurity: 1 }, broken: ['spec.ttlSecurity'] },
  ],
  'bgpconfigurations.yaml': [
    {
      name: 'the one named default',
      object: 'default',
      spec: { asNumber: 64512, nodeToNodeMeshEnabled: true, listenPort: 179 },
    },
    { name: 'one for a node', object: 'node.a', spec: {}, broken: [''] },
    { name: 'AS_TRANS', object: 'default', spec: { asNumber: 23456 }, broken: ['spec.asNumber'] },
    {
      name: 'a mesh password and service ranges, which are refused by name',
      object: 'default',
      spec: { nodeMeshPassword: {}, serviceClusterIPs: [] },
      broken: ['spec.nodeMeshPassword', 'spec.serviceClusterIPs'],
    },
  ],
  'ipamconfigurations.yaml': [
    { name: 'the one named default', object: 'default', spec: { strictAffinity: false, autoAllocateBlocks: true } },
    {
      name: 'autoAllocateBlocks false, which is refused by name',
      object: 'default',
      spec: { autoAllocateBlocks: false },
      broken: ['spec.autoAllocateBlocks'],
    },
    { name: 'another name', object: 'x', spec: { strictAffinity: false, autoAllocateBlocks: true }, broken: [''] },
  ],
  'ipamblocks.yaml': [
    { name: 'a block', spec: { cidr: '10.64.0.0/26', allocations: [0, null] } },
    { name: 'host bits', spec: { cidr: '10.64.0.1/26' }, broken: ['spec.cidr'] },
    {
      name: 'another cidr on update',
      spec: { cidr: '10.64.0.0/26' },
      old: { cidr: '10.64.0.64/26' },
      broken: ['spec.cidr'],
    },
  ],
  'blockaffinities.yaml': [
    { name: 'a claim', spec: { node: 'a', cidr: '10.64.0.0/26', state: 'pending' } },
    {
      name: 'a claim confirmed',
      spec: { node: 'a', cidr: '10.64.0.0/26', state: 'confirmed' },
      old: { node: 'a', cidr: '10.64.0.0/26', state: 'pending' },
    },
    {
      name: 'another node on update',
      spec: { node: 'b', cidr: '10.64.0.0/26' },
      old: { node: 'a', cidr: '10.64.0.0/26' },
      broken: ['spec.node'],
    },
    { name: 'text that is no CIDR', spec: { node: 'a', cidr: 'x' }, broken: ['spec.cidr'] },
  ],
  'nodestatuses.yaml': [
    { name: 'a node', spec: { node: 'a' } },
    { name: 'another node on update', spec: { node: 'b' }, old: { node: 'a' }, broken: ['spec.node'] },
  ],
};

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
