import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { CelRuleError, createCelValidator } from './cel.ts';
import type { CelRule, CelSchema } from './cel-schema.ts';

function stringWith(...rules: CelRule[]): CelSchema {
  return { type: 'object', properties: { a: { type: 'string', 'x-kubernetes-validations': rules } } };
}

function holds(rule: string, a: string): boolean {
  return createCelValidator(stringWith({ rule }))({ a }).length === 0;
}

suite('the CEL environment of Kubernetes', () => {
  // also evaluated by the code of a real API server: test/kubernetes/real-rules
  const cases: readonly { readonly rule: string; readonly self: string; readonly holds: boolean }[] = JSON.parse(
    readFileSync(join(import.meta.dirname, 'cel-cases.json'), 'utf8'),
  );
  for (const { rule, self, holds: expected } of cases) {
    test(`${rule} is ${expected} for ${self}`, () => assert.equal(holds(rule, self), expected));
  }
});

suite('a rule that cannot be compiled fails when the validator is made', () => {
  const cases: readonly (readonly [name: string, rule: CelRule, says: RegExp])[] = [
    ['a syntax error', { rule: 'self ==' }, /rule at a does not compile/],
    ['an unknown function', { rule: 'isIPv4(self)' }, /undeclared function 'isIPv4' with 1 arguments/],
    ['a wrong number of arguments', { rule: 'isIP(self, 4)' }, /undeclared function 'isIP' with 2 arguments/],
    ['a function used as a method', { rule: 'self.isIP()' }, /undeclared function 'isIP'/],
    ['an unbound name', { rule: 'selff == "a"' }, /undeclared reference to 'selff'/],
    ['a message that does not compile', { rule: 'true', messageExpression: 'nope' }, /undeclared reference to 'nope'/],
    ['optionalOldSelf', { rule: 'true', optionalOldSelf: true }, /optionalOldSelf is not supported/],
  ];
  for (const [name, rule, says] of cases) {
    test(name, () => {
      assert.throws(
        () => createCelValidator(stringWith(rule)),
        (error) => error instanceof CelRuleError && error.code === 'CEL_RULE' && says.test(error.message),
      );
    });
  }

  test('a field the schema does not have', () => {
    const schema: CelSchema = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: { a: { type: 'string' } },
          'x-kubernetes-validations': [{ rule: 'has(self.b)' }],
        },
      },
    };
    assert.throws(() => createCelValidator(schema), /rule at spec .*undefined field 'b'/);
  });

  test('a field of a format to which Kubernetes gives another type', () => {
    const schema: CelSchema = {
      type: 'object',
      properties: { at: { type: 'string', format: 'date-time' } },
      'x-kubernetes-validations': [{ rule: 'self.at == ""' }],
    };
    assert.throws(() => createCelValidator(schema), /format date-time/);
  });
});

suite('how rules are applied', () => {
  test('a broken rule names its field, its message and its reason', () => {
    const validate = createCelValidator(
      stringWith({ rule: 'self == "x"', message: 'must be x', reason: 'FieldValueForbidden' }),
    );
    assert.deepEqual(validate({ a: 'y' }), [
      { field: 'a', message: 'must be x', reason: 'FieldValueForbidden', value: 'y' },
    ]);
  });

  test('a rule without a message is its own message', () => {
    assert.equal(
      createCelValidator(stringWith({ rule: 'self == "x"' }))({ a: 'y' })[0]?.message,
      'failed rule: self == "x"',
    );
  });

  test('a messageExpression gives the message', () => {
    const validate = createCelValidator(
      stringWith({ rule: 'false', message: 'm', messageExpression: '"not " + self' }),
    );
    assert.equal(validate({ a: 'y' })[0]?.message, 'not y');
  });

  test('fieldPath is appended to the place of the rule, and the value is left out', () => {
    const schema: CelSchema = {
      type: 'object',
      properties: {
        spec: { type: 'object', 'x-kubernetes-validations': [{ rule: 'false', message: 'm', fieldPath: '.a' }] },
      },
    };
    assert.deepEqual(createCelValidator(schema)({ spec: {} }), [
      { field: 'spec.a', message: 'm', reason: 'FieldValueInvalid' },
    ]);
  });

  test('a rule that cannot be evaluated counts as broken', () => {
    const schema: CelSchema = {
      type: 'object',
      properties: { a: { type: 'string' } },
      'x-kubernetes-validations': [{ rule: 'self.a == "x"' }],
    };
    assert.match(createCelValidator(schema)({})[0]?.message ?? '', /^rule evaluation error: /);
  });

  test('a rule on an absent or null value does not run', () => {
    const validate = createCelValidator(stringWith({ rule: 'false' }));
    assert.deepEqual([validate({}), validate({ a: null })], [[], []]);
  });

  test('a rule on oldSelf runs only on an update of a value that was there', () => {
    const validate = createCelValidator(stringWith({ rule: 'self == oldSelf', message: 'immutable' }));
    assert.equal(validate({ a: 'x' }).length, 0);
    assert.equal(validate({ a: 'x' }, {}).length, 0);
    assert.equal(validate({ a: 'x' }, { a: 'x' }).length, 0);
    assert.equal(validate({ a: 'x' }, { a: 'y' }).length, 1);
  });

  test('integers are CEL ints and numbers are doubles', () => {
    const schema: CelSchema = {
      type: 'object',
      properties: { i: { type: 'integer' }, n: { type: 'number' } },
      'x-kubernetes-validations': [{ rule: 'type(self.i) == int && type(self.n) == double' }],
    };
    assert.deepEqual(createCelValidator(schema)({ i: 3, n: 3 }), []);
  });

  test('items of a map list are matched with their old selves by key', () => {
    const item: CelSchema = {
      type: 'object',
      properties: { k: { type: 'string' }, v: { type: 'integer' } },
      'x-kubernetes-validations': [{ rule: 'self.v >= oldSelf.v', message: 'shrank' }],
    };
    const list: CelSchema = {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['k'],
      items: item,
    };
    const validate = createCelValidator({ type: 'object', properties: { list } });
    const before = {
      list: [
        { k: 'a', v: 5 },
        { k: 'b', v: 1 },
      ],
    };
    const after = {
      list: [
        { k: 'b', v: 1 },
        { k: 'a', v: 4 },
      ],
    };
    assert.deepEqual(
      validate(after, before).map(({ field, message }) => ({ field, message })),
      [{ field: 'list[1]', message: 'shrank' }],
    );
  });

  test('rules under additionalProperties see each value and name its key', () => {
    const values: CelSchema = {
      type: 'string',
      'x-kubernetes-validations': [{ rule: 'self != ""', message: 'empty' }],
    };
    const validate = createCelValidator({
      type: 'object',
      properties: { m: { type: 'object', additionalProperties: values } },
    });
    assert.deepEqual(
      validate({ m: { x: 'a', y: '' } }).map((v) => v.field),
      ['m[y]'],
    );
  });

  test('a root rule sees the name of the object and nothing else of its metadata', () => {
    const rule = (text: string): CelSchema => ({
      type: 'object',
      properties: { metadata: { type: 'object' } },
      'x-kubernetes-validations': [{ rule: text }],
    });
    assert.equal(
      createCelValidator(rule('self.metadata.name == "default"'))({ metadata: { name: 'default' } }).length,
      0,
    );
    assert.throws(() => createCelValidator(rule('has(self.metadata.labels)')), /undefined field 'labels'/);
  });

  test('names that are no CEL identifiers are escaped', () => {
    const schema: CelSchema = {
      type: 'object',
      properties: { 'a-b': { type: 'string' }, namespace: { type: 'string' } },
      'x-kubernetes-validations': [{ rule: 'self.a__dash__b == "x" && self.__namespace__ == "y"' }],
    };
    assert.deepEqual(createCelValidator(schema)({ 'a-b': 'x', namespace: 'y' }), []);
  });

  test('a field named like a member of Object.prototype is not found by accident', () => {
    assert.deepEqual(createCelValidator(stringWith({ rule: 'false' }))(Object.create({ a: 'inherited' })), []);
  });
});
