/** The selector language: tables of what matches and what is refused where, and laws over generated selectors. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { formatSelector, type LabelTest, matches, parseSelector, type Selector, SelectorError } from './index.ts';

type Labels = Readonly<Record<string, string>>;

const web: Labels = { app: 'web', tier: 'front', 'kubernetes.io/name': 'web-1', empty: '' };

const matching: readonly {
  readonly selector: string;
  readonly yes: readonly Labels[];
  readonly no: readonly Labels[];
}[] = [
  { selector: '', yes: [{}, web], no: [] },
  { selector: ' \t\n', yes: [{}, web], no: [] },
  { selector: 'all()', yes: [{}, web], no: [] },
  { selector: 'all( )', yes: [{}], no: [] },
  { selector: 'global()', yes: [{}, web], no: [] },
  { selector: '!all()', yes: [], no: [{}, web] },
  { selector: 'has(app)', yes: [web, { app: '' }], no: [{}, { apps: 'x' }] },
  { selector: '!has(app)', yes: [{}], no: [web] },
  { selector: 'has( kubernetes.io/name )', yes: [web], no: [{}] },
  { selector: "app == 'web'", yes: [web], no: [{}, { app: 'db' }, { app: 'web ' }] },
  { selector: 'app=="web"', yes: [web], no: [{}] },
  { selector: "app == ''", yes: [{ app: '' }], no: [{}, web] },
  { selector: "app != 'web'", yes: [{}, { app: 'db' }], no: [web] },
  { selector: "app in {'web', 'db'}", yes: [web, { app: 'db' }], no: [{}, { app: 'x' }] },
  { selector: 'app in{"web"}', yes: [web], no: [{}] },
  { selector: "app not in {'web', 'db'}", yes: [{}, { app: 'x' }], no: [web] },
  { selector: 'app in {}', yes: [], no: [{}, web] },
  { selector: 'app not in {}', yes: [{}, web], no: [] },
  { selector: "app in {'web',}", yes: [web], no: [{}] },
  { selector: "app contains 'e'", yes: [web], no: [{}, { app: 'db' }] },
  { selector: "app starts with 'w'", yes: [web], no: [{}, { app: 'aw' }] },
  { selector: "app ends with 'b'", yes: [web, { app: 'db' }], no: [{}, { app: 'bd' }] },
  { selector: "app starts  \t with ''", yes: [web, { app: '' }], no: [{}] },
  { selector: "app == 'web' && tier == 'front'", yes: [web], no: [{ app: 'web' }, {}] },
  { selector: "app == 'db' || tier == 'front'", yes: [web, { app: 'db' }], no: [{}] },
  { selector: 'has(a) || has(b) && has(c)', yes: [{ a: '' }, { b: '', c: '' }], no: [{ b: '' }, { c: '' }] },
  { selector: '(has(a) || has(b)) && has(c)', yes: [{ a: '', c: '' }], no: [{ a: '' }, { c: '' }] },
  { selector: '!(has(a) && has(b))', yes: [{}, { a: '' }], no: [{ a: '', b: '' }] },
  { selector: '!has(a) && has(b)', yes: [{ b: '' }], no: [{}, { a: '', b: '' }] },
  { selector: '! ! has(a)', yes: [{ a: '' }], no: [{}] },
  { selector: "!app == 'web'", yes: [{}], no: [web] },
  { selector: "in in {'in'} && has == 'all' && not != 'x'", yes: [{ in: 'in', has: 'all' }], no: [{}] },
  {
    selector: "all == 'x' || global == 'x' || contains contains 'x'",
    yes: [{ all: 'x' }, { contains: 'x' }],
    no: [{}],
  },
  { selector: `a == '"' && b == "'"`, yes: [{ a: '"', b: "'" }], no: [{}] },
  { selector: "a == 'x\\'", yes: [{ a: 'x\\' }], no: [{ a: 'x' }] },
  { selector: "9.A_-/z == 'x'", yes: [{ '9.A_-/z': 'x' }], no: [{}] },
  { selector: 'has(a)\n&&\r\n\thas(b)', yes: [{ a: '', b: '' }], no: [{ a: '' }] },
];

describe('a selector', () => {
  for (const { selector, yes, no } of matching) {
    test(`${JSON.stringify(selector)} matches what it should and nothing else`, () => {
      const parsed = parseSelector(selector);
      for (const labels of yes) assert.equal(matches(parsed, labels), true, JSON.stringify(labels));
      for (const labels of no) assert.equal(matches(parsed, labels), false, JSON.stringify(labels));
    });
  }

  for (const label of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    test(`sees label ${label} only where it is set`, () => {
      const set: Labels = JSON.parse(`{${JSON.stringify(label)}: "x"}`) as Labels;
      for (const labels of [{}, Object.create({ [label]: 'x' }) as Labels]) {
        assert.equal(matches(parseSelector(`has(${label})`), labels), false);
        assert.equal(matches(parseSelector(`${label} contains ''`), labels), false);
        assert.equal(matches(parseSelector(`${label} != 'x'`), labels), true);
      }
      assert.equal(matches(parseSelector(`has(${label}) && ${label} == 'x'`), set), true);
    });
  }
});

const refused: readonly { readonly text: string; readonly position: number; readonly says: RegExp }[] = [
  { text: 'app', position: 3, says: /expected an operator .* after label "app", found the end/ },
  { text: "app = 'web'", position: 4, says: /expected an operator/ },
  { text: 'app == web', position: 7, says: /expected a quoted string/ },
  { text: 'app ==', position: 6, says: /expected a quoted string, found the end/ },
  { text: "app == 'web", position: 7, says: /string to be closed/ },
  { text: `app == 'web"`, position: 7, says: /string to be closed/ },
  { text: "app == 'web' tier == 'x'", position: 13, says: /expected "&&", "\|\|" or the end/ },
  { text: "app == 'web' & has(x)", position: 13, says: /expected "&&"/ },
  { text: 'has(a) &&', position: 9, says: /expected a label, .*found the end/ },
  { text: '|| has(a)', position: 0, says: /expected a label/ },
  { text: '(has(a)', position: 7, says: /expected "\)", found the end/ },
  { text: 'has(a))', position: 6, says: /expected "&&"/ },
  { text: '()', position: 1, says: /expected a label/ },
  { text: 'has()', position: 4, says: /expected a label name/ },
  { text: 'has(a b)', position: 6, says: /expected "\)"/ },
  { text: 'has (a)', position: 4, says: /expected an operator .* after label "has"/ },
  { text: 'all(x)', position: 4, says: /expected "\)"/ },
  { text: "app in 'web'", position: 7, says: /expected "\{"/ },
  { text: "app in {'web' 'db'}", position: 14, says: /expected "\}"/ },
  { text: 'app in {web}', position: 8, says: /expected a quoted string/ },
  { text: "app in {'web'", position: 13, says: /expected "\}", found the end/ },
  { text: 'app in {,}', position: 8, says: /expected a quoted string/ },
  { text: "app not 'x'", position: 4, says: /expected an operator/ },
  { text: "app starts 'x'", position: 4, says: /expected an operator/ },
  { text: "'app' == 'x'", position: 0, says: /expected a label/ },
  { text: "app@x == 'x'", position: 3, says: /expected an operator/ },
  { text: "ünal == 'x'", position: 0, says: /expected a label/ },
  { text: '!', position: 1, says: /found the end/ },
  { text: `${'a'.repeat(513)} == 'x'`, position: 0, says: /longer than 512/ },
  { text: `${'('.repeat(101)}all()${')'.repeat(101)}`, position: 101, says: /nesting deeper than 100/ },
];

describe('parseSelector refuses', () => {
  for (const { text, position, says } of refused) {
    test(`${JSON.stringify(text.slice(0, 40))} at position ${position}`, () => {
      assert.throws(
        () => parseSelector(text),
        (error) =>
          error instanceof SelectorError &&
          error.position === position &&
          error.text === text &&
          error.code === 'SELECTOR_SYNTAX' &&
          error.message.length < 300 &&
          error.message.endsWith(`at position ${position}`) &&
          says.test(error.message),
      );
    });
  }
});

describe('the limits', () => {
  test('a hundred parentheses and a label of 512 characters are accepted', () => {
    assert.ok(matches(parseSelector(`${'('.repeat(100)}all()${')'.repeat(100)}`), {}));
    assert.ok(matches(parseSelector(`!has(${'a'.repeat(512)})`), {}));
  });

  test('parentheses side by side do not count as depth', () => {
    assert.ok(matches(parseSelector(Array(1000).fill('(all())').join(' && ')), {}));
  });

  test('a million terms, signs or values neither overflow the stack nor take more than linear time', () => {
    const n = 200_000;
    for (const text of [
      Array(n).fill('has(a)').join(' || '),
      Array(n).fill("a != 'x'").join('&&'),
      `${'!'.repeat(n * 5)}has(a)`,
      `a in {${Array.from({ length: n }, (_, i) => `'${i}'`).join(',')}}`,
      `a == '${'x'.repeat(n * 5)}'`,
      `all()${' '.repeat(n * 5)}`,
    ]) {
      const parsed = parseSelector(text);
      matches(parsed, { a: '1' });
      assert.deepEqual(parseSelector(formatSelector(parsed)), parsed);
    }
    assert.throws(() => parseSelector('('.repeat(n)), SelectorError);
    assert.throws(() => parseSelector('a'.repeat(n)), SelectorError);
    assert.throws(() => parseSelector("a in {'x'".repeat(n)), SelectorError);
  });
});

const label = fc.constantFrom('app', 'tier', 'in', 'not', 'has', 'all', 'constructor', '__proto__', 'x.io/y-z_1');
const value = fc.oneof(
  fc.constantFrom('', 'web', 'we', 'eb', "'", '"'),
  fc.string({ maxLength: 4 }).filter((s) => !(s.includes('"') && s.includes("'"))),
);
const labelTest = fc.constantFrom<LabelTest>('equal', 'not-equal', 'contains', 'starts-with', 'ends-with');
const values = fc.array(value, { maxLength: 3 }).map((list) => new Set(list));
const plain = { noNullPrototype: true };
const anySelector = fc.letrec<{ selector: Selector; leaf: Selector }>((tie) => ({
  leaf: fc.oneof(
    fc.record({ kind: fc.constantFrom('all' as const, 'global' as const) }, plain),
    fc.record({ kind: fc.constant('has' as const), label }, plain),
    fc.record({ kind: labelTest, label, value }, plain),
    fc.record({ kind: fc.constantFrom('in' as const, 'not-in' as const), label, values }, plain),
  ),
  selector: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.record({ kind: fc.constant('not' as const), term: tie('selector').filter(({ kind }) => kind !== 'not') }, plain),
    fc.record(
      {
        kind: fc.constantFrom('and' as const, 'or' as const),
        terms: fc.array(tie('selector'), { minLength: 2, maxLength: 3 }),
      },
      plain,
    ),
  ),
})).selector;
const anyLabels = fc.dictionary(label, value);

describe('any selector', () => {
  test('is the same after being written and read, and after being copied to another thread', () => {
    fc.assert(
      fc.property(anySelector, (selector) => {
        assert.deepEqual(parseSelector(formatSelector(selector)), selector);
        assert.deepEqual(structuredClone(selector), selector);
      }),
      { numRuns: 1000 },
    );
  });

  test('obeys the laws of logic', () => {
    fc.assert(
      fc.property(anySelector, anySelector, anyLabels, (a, b, labels) => {
        const [x, y] = [matches(a, labels), matches(b, labels)];
        assert.equal(matches(parseSelector(`!(${formatSelector(a)})`), labels), !x);
        assert.equal(matches({ kind: 'and', terms: [a, b] }, labels), x && y);
        assert.equal(matches({ kind: 'or', terms: [a, b] }, labels), x || y);
      }),
    );
  });

  test('has one text for one set, whatever the order and repetition of its values', () => {
    assert.equal(formatSelector(parseSelector("a in {'y','x','y'}")), 'a in {"x", "y"}');
    assert.equal(formatSelector(parseSelector('a in {"x","y"}')), 'a in {"x", "y"}');
  });

  test('text never makes the parser fail in another way than SelectorError', () => {
    const piece = fc.constantFrom(
      'app',
      'has(',
      'all(',
      ')',
      '(',
      '!',
      '==',
      '!=',
      'in',
      'not in',
      '{',
      '}',
      ',',
      "'x'",
      '"',
      '&&',
      '||',
      ' ',
      'starts with',
      'ü',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          matches(parseSelector(pieces.join('')), { app: 'x' });
        } catch (error) {
          assert.ok(error instanceof SelectorError && error.position <= error.text.length);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
