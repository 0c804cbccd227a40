/** Pruning, defaults, metadata checks and patches: table tests and laws of the pure parts of a write. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { checkMetadata, checkMetadataUpdate, readMetadata } from './metadata.ts';
import { canonicalJson, type Json, type JsonObject, jsonEqual } from './objects.ts';
import { applyJsonPatch, applyMergePatch } from './patch.ts';
import { findDuplicates, pruneAndDefault } from './schema-walk.ts';

describe('pruning and defaults', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: {
      size: { type: 'integer', default: 26 },
      note: { type: 'string', nullable: true },
      deep: { type: 'object', default: {}, properties: { on: { type: 'boolean', default: true } } },
      list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string', default: 'x' } } } },
      map: {
        type: 'object',
        additionalProperties: { type: 'object', properties: { b: { type: 'integer', default: 1 } } },
      },
      free: {
        type: 'object',
        'x-kubernetes-preserve-unknown-fields': true,
        properties: { c: { type: 'object', properties: {} } },
      },
    },
  };
  const cases: readonly [string, Json, Json, string[]][] = [
    ['fills in nested defaults', {}, { size: 26, deep: { on: true } }, []],
    ['keeps what is given', { size: 1, deep: { on: false } }, { size: 1, deep: { on: false } }, []],
    [
      'drops unknown fields and names them',
      { nope: { a: 1 }, deep: { off: 1 } },
      { size: 26, deep: { on: true } },
      ['nope', 'deep.off'],
    ],
    ['keeps null where it is allowed', { note: null }, { note: null, size: 26, deep: { on: true } }, []],
    ['takes the default for null elsewhere', { size: null }, { size: 26, deep: { on: true } }, []],
    [
      'goes into lists',
      { list: [{}, { z: 1 }] },
      { list: [{ a: 'x' }, { a: 'x' }], size: 26, deep: { on: true } },
      ['list[1].z'],
    ],
    [
      'goes into maps',
      { map: { k: {}, toString: {} } },
      { map: { k: { b: 1 }, toString: { b: 1 } }, size: 26, deep: { on: true } },
      [],
    ],
    [
      'keeps unknown fields where the schema says so, not below',
      { free: { x: { y: 1 }, c: { d: 1 } } },
      { free: { x: { y: 1 }, c: {} }, size: 26, deep: { on: true } },
      ['free.c.d'],
    ],
  ];
  for (const [name, value, expected, unknown] of cases) {
    test(name, () => {
      const walked = pruneAndDefault(value, schema);
      assert.ok(jsonEqual(walked.value, expected), canonicalJson(walked.value));
      assert.deepEqual(walked.unknown, unknown);
    });
  }

  test('a second run changes nothing and knows everything', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('size', 'note', 'deep', 'list', 'map', 'free', 'nope'), fc.jsonValue()),
        (value) => {
          const once = pruneAndDefault(value as Json, schema);
          const twice = pruneAndDefault(once.value, schema);
          assert.deepEqual(twice.value, once.value);
          assert.deepEqual(twice.unknown, []);
        },
      ),
    );
  });

  test('duplicates of sets and keyed lists are found at their index', () => {
    const listSchema: JsonObject = {
      properties: {
        set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
        keyed: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'], items: {} },
        plain: { type: 'array', items: {} },
      },
    };
    const value = {
      set: ['a', 'b', 'a'],
      keyed: [
        { type: 'R', v: 1 },
        { type: 'R', v: 2 },
      ],
      plain: [1, 1],
    };
    assert.deepEqual(findDuplicates(value, listSchema, ''), [
      { field: 'set[2]', value: 'a' },
      { field: 'keyed[1]', value: { type: 'R' } },
    ]);
  });
});

describe('metadata', () => {
  const fieldsOf = (metadata: object): string[] =>
    checkMetadata({ name: 'ok', ...metadata }, 'subdomain').map((cause) => cause.field);
  const cases: readonly [string, object, string[]][] = [
    [
      'nothing wrong',
      { labels: { 'a.b/c': 'd', e: '' }, annotations: { 'A.b/C': 'any thing' }, finalizers: ['a.b/c'] },
      [],
    ],
    ['no name', { name: '' }, ['metadata.name']],
    ['an upper-case name', { name: 'Bad' }, ['metadata.name']],
    ['a name of 254 letters', { name: 'a'.repeat(254) }, ['metadata.name']],
    ['a label key with a space', { labels: { 'a b': 'c' } }, ['metadata.labels']],
    ['a label value with a slash', { labels: { a: 'b/c' } }, ['metadata.labels']],
    ['a label value of 64 letters', { labels: { a: 'b'.repeat(64) } }, ['metadata.labels']],
    ['an annotation key with two slashes', { annotations: { 'a/b/c': '' } }, ['metadata.annotations']],
    [
      'an owner without uid',
      { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: '' }] },
      ['metadata.ownerReferences.uid'],
    ],
  ];
  for (const [name, metadata, expected] of cases) test(name, () => assert.deepEqual(fieldsOf(metadata), expected));

  test('system noise is dropped, unknown fields are named, a wrong type is told in Go words', () => {
    const read = readMetadata({
      name: 'a',
      managedFields: [],
      selfLink: '/x',
      labels: {},
      nope: 1,
      generation: 'x',
      creationTimestamp: null,
    });
    assert.deepEqual(read.metadata, { name: 'a' });
    assert.deepEqual(read.unknown, ['metadata.nope']);
    assert.equal(read.wrong, 'string into Go struct field ObjectMeta.generation of type int64');
    assert.equal(
      readMetadata({ labels: { a: 1 } }).wrong,
      'number into Go struct field ObjectMeta.labels of type string',
    );
  });

  test('a dying object takes no new finalizers but may lose some', () => {
    const previous = { name: 'a', deletionTimestamp: 'T', finalizers: ['a/b', 'a/c'] };
    assert.deepEqual(checkMetadataUpdate({ name: 'a', finalizers: ['a/c'] }, previous), []);
    assert.equal(
      checkMetadataUpdate({ name: 'a', finalizers: ['a/b', 'a/d'] }, previous)[0]?.reason,
      'FieldValueForbidden',
    );
  });
});

describe('patches', () => {
  test('the examples of RFC 7396 appendix A', () => {
    const cases: readonly [JsonObject, JsonObject, JsonObject][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [target, patch, expected] of cases) assert.deepEqual(applyMergePatch(target, patch), expected);
  });

  test('a merge patch of an object with itself changes nothing, and no input is changed', () => {
    const noNull = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, fc.integer(), fc.string(), fc.dictionary(fc.string(), tie('value'))),
    })).value;
    fc.assert(
      fc.property(fc.dictionary(fc.string(), noNull), fc.dictionary(fc.string(), noNull), (target, patch) => {
        const before = canonicalJson(target);
        const merged = applyMergePatch(target, patch);
        assert.ok(jsonEqual(applyMergePatch(merged, patch), merged));
        assert.ok(jsonEqual(applyMergePatch(target, target), target));
        assert.equal(canonicalJson(target), before);
      }),
    );
  });

  const target: JsonObject = { spec: { list: ['a', 'b'], size: 1 }, metadata: {} };
  const applied: readonly [string, Json, JsonObject][] = [
    [
      'add appends with -',
      [{ op: 'add', path: '/spec/list/-', value: 'c' }],
      { spec: { list: ['a', 'b', 'c'], size: 1 }, metadata: {} },
    ],
    [
      'add inserts',
      [{ op: 'add', path: '/spec/list/1', value: 'c' }],
      { spec: { list: ['a', 'c', 'b'], size: 1 }, metadata: {} },
    ],
    [
      'replace may add a member',
      [{ op: 'replace', path: '/spec/new', value: 1 }],
      { spec: { list: ['a', 'b'], size: 1, new: 1 }, metadata: {} },
    ],
    ['remove from a list', [{ op: 'remove', path: '/spec/list/0' }], { spec: { list: ['b'], size: 1 }, metadata: {} }],
    [
      'escapes',
      [{ op: 'add', path: '/metadata/a~1b~0c', value: 1 }],
      { spec: { list: ['a', 'b'], size: 1 }, metadata: { 'a/b~c': 1 } },
    ],
    [
      'move',
      [{ op: 'move', from: '/spec/size', path: '/metadata/size' }],
      { spec: { list: ['a', 'b'] }, metadata: { size: 1 } },
    ],
  ];
  for (const [name, patch, expected] of applied)
    test(`JSON patch: ${name}`, () => assert.deepEqual(applyJsonPatch(target, patch), expected));

  const refused: readonly [string, Json][] = [
    ['a failing test', [{ op: 'test', path: '/spec/size', value: 2 }]],
    ['remove of nothing', [{ op: 'remove', path: '/spec/nope' }]],
    ['a missing parent', [{ op: 'add', path: '/spec/no/such', value: 1 }]],
    ['an index beyond the end', [{ op: 'add', path: '/spec/list/9', value: 1 }]],
    ['an unknown operation', [{ op: 'frob', path: '/spec' }]],
    ['no path', [{ op: 'add', value: 1 }]],
    ['the prototype', [{ op: 'add', path: '/__proto__/x', value: 1 }]],
    ['copy from nothing', [{ op: 'copy', from: '/spec/nope', path: '/spec/x' }]],
  ];
  for (const [name, patch] of refused) {
    test(`JSON patch refuses ${name} and leaves the object alone`, () => {
      const before = canonicalJson(target);
      assert.throws(() => applyJsonPatch(target, patch), /the server rejected our request/);
      assert.equal(canonicalJson(target), before);
    });
  }
});
