/** Selectors, JSON paths, ages, paths of URLs and Accept headers: table tests of the pure readers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ageOf, formatAge } from './age.ts';
import { findDuplicateKeys } from './json-duplicates.ts';
import { firstAt, parseJsonPath } from './json-path.ts';
import { negotiate } from './negotiate.ts';
import { fieldMatcher, labelMatcher } from './selectors.ts';
import { StatusError } from './status-objects.ts';

describe('label selectors', () => {
  const object = { metadata: { labels: { tier: 'front', zone: '' } } };
  const cases: readonly [string, boolean][] = [
    ['tier', true],
    ['!tier', false],
    ['nope', false],
    ['!nope', true],
    ['tier=front', true],
    ['tier == front', true],
    ['tier!=front', false],
    ['nope!=x', true],
    ['zone=', true],
    ['zone', true],
    ['tier in (front, back)', true],
    ['tier in (back)', false],
    ['tier notin (back)', true],
    ['nope notin (back)', true],
    ['tier in (front),zone!=z1,!nope', true],
    ['toString', false],
    ['!constructor', true],
  ];
  for (const [selector, expected] of cases) {
    test(`${selector} is ${expected}`, () => assert.equal(labelMatcher(selector)?.(object), expected));
  }

  test('an empty selector is no selector', () => {
    assert.equal(labelMatcher(''), undefined);
    assert.equal(labelMatcher(undefined), undefined);
  });

  const broken: readonly [string, string][] = [
    ['a===b', "unable to parse requirement: found '=', expected: identifier"],
    ['a=b=c', "found '=', expected: ',' or 'end of string'"],
    ['a in b', "unable to parse requirement: found 'b', expected: '('"],
    ['a,', "found '', expected: identifier after ','"],
  ];
  for (const [selector, message] of broken) {
    test(`${selector} is refused with the words of the real server`, () => {
      assert.throws(
        () => labelMatcher(selector),
        (error: unknown) => error instanceof StatusError && error.code === 400 && error.message === message,
      );
    });
  }
});

describe('field selectors', () => {
  const rules = { namespaced: false, selectableFields: ['spec.disabled', 'spec.cidr'] };
  const object = { metadata: { name: 'a' }, spec: { disabled: true, cidr: '10.0.0.0/8' } };
  const cases: readonly [string, boolean][] = [
    ['metadata.name=a', true],
    ['metadata.name!=a', false],
    ['spec.disabled=true', true],
    ['spec.disabled==false', false],
    ['spec.cidr=10.0.0.0/8,metadata.name=a', true],
    ['spec.cidr=10.0.0.0/8,metadata.name=b', false],
  ];
  for (const [selector, expected] of cases) {
    test(`${selector} is ${expected}`, () => assert.equal(fieldMatcher(selector, rules)?.(object), expected));
  }

  test('a field that is not selectable is refused by name', () => {
    assert.throws(() => fieldMatcher('spec.other=1', rules), /field label not supported: spec\.other/);
    assert.throws(() => fieldMatcher('metadata.namespace=x', rules), /metadata\.namespace/);
  });
});

describe('JSON paths of printer columns', () => {
  const object = {
    metadata: { annotations: { 'manx.network/ASNumber': '64512' } },
    spec: { list: ['a', 'b'], deep: { er: 1 } },
    status: {
      conditions: [
        { type: 'Other', status: 'x' },
        { type: 'Ready', status: 'True' },
      ],
    },
  };
  const cases: readonly [string, unknown][] = [
    ['.spec.deep.er', 1],
    ['.spec.list', ['a', 'b']],
    ['.spec.list[1]', 'b'],
    ['.spec.list[-1]', 'b'],
    ['.spec.list[*]', 'a'],
    ['.status.conditions[?(@.type=="Ready")].status', 'True'],
    [".status.conditions[?(@.type=='Ready')].status", 'True'],
    ['.status.conditions[?(@.type=="Nope")].status', undefined],
    ['.metadata.annotations.manx\\.network/ASNumber', '64512'],
    [".metadata.annotations['manx.network/ASNumber']", '64512'],
    ['.spec.nope.er', undefined],
    ['.spec.constructor', undefined],
  ];
  for (const [path, expected] of cases) {
    test(`${path} finds ${JSON.stringify(expected)}`, () =>
      assert.deepEqual(firstAt(object, parseJsonPath(path)), expected));
  }

  test('a path outside the subset is refused', () => {
    assert.throws(() => parseJsonPath('.spec..deep'), /JSON path \.spec\.\.deep is not supported at/);
    assert.throws(() => parseJsonPath('.a[?(@.n>3)]'), /is not supported/);
  });
});

describe('ages', () => {
  const minute = 60_000;
  const hour = 60 * minute;
  const day = 24 * hour;
  const cases: readonly [number, string][] = [
    [-5_000, '<invalid>'],
    [-500, '0s'],
    [0, '0s'],
    [119_000, '119s'],
    [2 * minute, '2m'],
    [3 * minute + 5_000, '3m5s'],
    [10 * minute + 5_000, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [7 * hour + 5 * minute, '7h5m'],
    [8 * hour + 5 * minute, '8h'],
    [47 * hour, '47h'],
    [2 * day + 3 * hour, '2d3h'],
    [8 * day + hour, '8d'],
    [730 * day, '2y'],
    [731 * day, '2y1d'],
    [3_000 * day, '8y'],
  ];
  for (const [millis, text] of cases) test(`${millis} ms is ${text}`, () => assert.equal(formatAge(millis), text));

  test('a missing time is unknown, a broken one invalid', () => {
    assert.equal(ageOf(undefined, 0), '<unknown>');
    assert.equal(ageOf('yesterday', 0), '<invalid>');
    assert.equal(ageOf('1970-01-01T00:00:00Z', 5_000), '5s');
  });
});

describe('duplicate members', () => {
  const cases: readonly [string, string[]][] = [
    ['{}', []],
    ['{"a":1,"b":{"a":2}}', []],
    ['{"a":1,"a":2}', ['a']],
    ['{"spec":{"x":[{"y":1,"y":2}], "z":"}{,"}}', ['spec.x[0].y']],
    [' { "a" : "\\"" , "\\u0061" : [ ] } ', ['a']],
    ['[]', []],
    ['{"a":[1,2,[3]],"b":null,"a":true}', ['a']],
  ];
  for (const [text, expected] of cases) test(`of ${text}`, () => assert.deepEqual(findDuplicateKeys(text), expected));
});

describe('Accept', () => {
  const cases: readonly [string | undefined, string][] = [
    [undefined, 'json object'],
    ['*/*', 'json object'],
    ['text/html,*/*;q=0.8', 'json object'],
    ['application/yaml', 'yaml object'],
    ['application/json;q=0.5,application/yaml', 'yaml object'],
    ['application/vnd.kubernetes.protobuf,application/json', 'json object'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'json table'],
    ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'json partial-list'],
    ['application/json;as=Nope;v=v1;g=meta.k8s.io,application/json', 'json object'],
  ];
  for (const [header, expected] of cases) {
    test(`${header} is answered as ${expected}`, () => {
      const { media, view } = negotiate(header, { discovery: false });
      assert.equal(`${media} ${view}`, expected);
    });
  }

  test('what cannot be answered is 406', () => {
    for (const header of ['text/html', 'application/cbor', 'application/json;as=Table;v=v9;g=meta.k8s.io']) {
      assert.throws(
        () => negotiate(header, { discovery: false }),
        (error: unknown) => error instanceof StatusError && error.code === 406,
      );
    }
  });
});
