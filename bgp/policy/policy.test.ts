import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import { EMPTY_ATTRIBUTES } from '../wire/attribute/attributes.ts';
import { AttributeMemo, changeAttributes } from './changes.ts';
import { findPolicyFault } from './check.ts';
import { evaluate, evaluateRoute, type RouteFacts, type RouteMatch, type RoutePolicy, saysNothing } from './policy.ts';

const mesh: RoutePolicy = {
  rules: [
    {
      name: 'own block',
      match: { prefixes: [{ prefix: parsePrefix('10.64.0.0/26'), minLength: 26, maxLength: 32 }] },
      action: 'reject',
    },
    {
      name: 'pools via the node',
      match: {
        prefixes: [
          { prefix: parsePrefix('10.64.0.0/16'), minLength: 26, maxLength: 32 },
          { prefix: parsePrefix('2001:db8::/48'), minLength: 64, maxLength: 128 },
        ],
        nextHops: [parseIp('192.0.2.2'), parseIp('2001:db8:0:1::2')],
      },
      action: 'accept',
    },
  ],
  default: 'reject',
};

const rows: readonly [prefix: string, nextHop: string | undefined, action: string, rule: string][] = [
  ['10.64.1.0/26', '192.0.2.2', 'accept', 'pools via the node'],
  ['10.64.1.7/32', '192.0.2.2', 'accept', 'pools via the node'],
  ['10.64.1.0/26', '192.0.2.3', 'reject', 'default'], // another next hop
  ['10.64.1.0/26', undefined, 'reject', 'default'],
  ['10.64.0.0/26', '192.0.2.2', 'reject', 'own block'], // the first rule that matches
  ['10.64.0.1/32', '192.0.2.2', 'reject', 'own block'],
  ['10.64.0.0/25', '192.0.2.2', 'reject', 'default'], // too short
  ['0.0.0.0/0', '192.0.2.2', 'reject', 'default'],
  ['10.65.0.0/26', '192.0.2.2', 'reject', 'default'],
  ['2001:db8:0:7::/64', '2001:db8:0:1::2', 'accept', 'pools via the node'],
  ['::/0', '2001:db8:0:1::2', 'reject', 'default'],
];

for (const [prefix, nextHop, action, rule] of rows) {
  test(`${prefix} via ${nextHop ?? 'nothing'}: ${action} by ${rule}`, () => {
    const verdict = evaluate(mesh, parsePrefix(prefix), nextHop === undefined ? undefined : parseIp(nextHop));
    assert.deepEqual(verdict, { action, rule });
  });
}

const path = (asns: readonly number[], kind: 'sequence' | 'set' = 'sequence') => [{ kind, asns }];
const learned: RouteFacts = {
  prefix: parsePrefix('10.64.1.0/26'),
  nextHop: parseIp('192.0.2.2'),
  attributes: {
    ...EMPTY_ATTRIBUTES,
    asPath: path([65001, 65002, 65003]),
    communities: [65001 * 65536 + 7],
    largeCommunities: [{ global: 65001, local1: 2, local2: 3 }],
  },
  learnedFrom: 'ebgp',
};

const matches: readonly [name: string, match: RouteMatch, route: Partial<RouteFacts>, yes: boolean][] = [
  ['an AS anywhere in the path', { asPath: [{ contains: 65002 }] }, {}, true],
  ['an AS that is not in the path', { asPath: [{ contains: 65009 }] }, {}, false],
  ['the AS that originated it', { asPath: [{ originatedBy: 65003 }] }, {}, true],
  ['an AS that only passed it on', { asPath: [{ originatedBy: 65002 }] }, {}, false],
  [
    'an origin that a set hides',
    { asPath: [{ originatedBy: 65003 }] },
    { attributes: { ...EMPTY_ATTRIBUTES, asPath: path([65003], 'set') } },
    false,
  ],
  ['the first ASes', { asPath: [{ startsWith: [65001, 65002] }] }, {}, true],
  ['first ASes in another order', { asPath: [{ startsWith: [65002, 65001] }] }, {}, false],
  ['more first ASes than the path has', { asPath: [{ startsWith: [65001, 65002, 65003, 65004] }] }, {}, false],
  ['a path short enough', { asPath: [{ maxLength: 3 }] }, {}, true],
  ['a path too long', { asPath: [{ maxLength: 2 }] }, {}, false],
  ['one of two paths', { asPath: [{ contains: 1 }, { contains: 65001 }] }, {}, true],
  ['all conditions on one path', { asPath: [{ contains: 65001, originatedBy: 65001 }] }, {}, false],
  ['a community', { communities: [1, 65001 * 65536 + 7] }, {}, true],
  ['another community', { communities: [1] }, {}, false],
  ['a large community', { largeCommunities: [{ global: 65001, local1: 2, local2: 3 }] }, {}, true],
  ['another large community', { largeCommunities: [{ global: 65001, local1: 2, local2: 4 }] }, {}, false],
  ['where it comes from', { learnedFrom: ['ibgp', 'ebgp'] }, {}, true],
  ['elsewhere', { learnedFrom: ['local'] }, {}, false],
  ['nothing asked', {}, {}, true],
];
for (const [name, match, route, yes] of matches) {
  test(`a rule matches ${yes ? 'by' : 'not by'} ${name}`, () => {
    const rules = [{ name: 'it', match, action: 'reject' as const }];
    assert.equal(
      evaluateRoute({ rules, default: 'accept' }, { ...learned, ...route }).action,
      yes ? 'reject' : 'accept',
    );
  });
}

test('changes: preferences are set, communities added once and removed, ASes put in front in their order', () => {
  const { attributes } = learned;
  const changed = changeAttributes(attributes, {
    localPref: 200,
    med: 5,
    prepend: [1, 2],
    addCommunities: [9, 9],
    removeCommunities: [65001 * 65536 + 7],
    addLargeCommunities: [{ global: 1, local1: 1, local2: 1 }],
    removeLargeCommunities: [{ global: 65001, local1: 2, local2: 3 }],
  });
  assert.deepEqual(changed, {
    ...attributes,
    localPref: 200,
    med: 5,
    asPath: path([1, 2, 65001, 65002, 65003]),
    communities: [9],
    largeCommunities: [{ global: 1, local1: 1, local2: 1 }],
  });
  assert.deepEqual(changeAttributes(attributes, {}), attributes, 'nothing asked, nothing changed');
});

test('the same change of the same attributes is one object, so that equal routes pack together', () => {
  const memo = new AttributeMemo();
  const set = { med: 1 };
  assert.equal(memo.change(learned.attributes, set), memo.change(learned.attributes, set));
  assert.notEqual(memo.change(learned.attributes, set), memo.change(learned.attributes, { med: 1 }));
  assert.equal(memo.change(learned.attributes, undefined), learned.attributes);
});

const bad: readonly [name: string, rule: object, why: RegExp][] = [
  ['an unknown action', { action: 'maybe' }, /rule r: action is maybe/],
  ['bounds the wrong way round', { match: { prefixes: [range(26, 24)] } }, /lengths 26 to 24, expected 16 to 32/],
  ['a bound above the family', { match: { prefixes: [range(16, 33)] } }, /expected 16 to 32/],
  ['a bound below the prefix', { match: { prefixes: [range(8, 32)] } }, /expected 16 to 32/],
  ['host bits', { match: { prefixes: [{ ...range(16, 32), prefix: '10.64.0.1/16' }] } }, /not canonical/],
  ['a next hop that is no address', { match: { nextHops: ['router'] } }, /next hop router/],
  ['AS 0', { match: { asPath: [{ contains: 0 }] } }, /AS 0/],
  ['a community too large', { set: { addCommunities: [2 ** 32] } }, /community 4294967296/],
  ['a preference below zero', { set: { localPref: -1 } }, /local preference -1/],
  ['a MED that is no number', { set: { med: Number.NaN } }, /med NaN/],
  ['endless prepending', { set: { prepend: Array.from({ length: 33 }, () => 1) } }, /33 times/],
  ['a next hop to nowhere', { set: { nextHop: '0.0.0.0' } }, /next hop 0\.0\.0\.0/],
  ['a kind nobody knows', { match: { learnedFrom: ['rip'] } }, /route kind rip/],
];

function range(minLength: number, maxLength: number): object {
  return { prefix: '10.64.0.0/16', minLength, maxLength };
}

for (const [name, rule, why] of bad) {
  test(`a policy is refused for ${name}`, () => {
    const policy = { default: 'reject', rules: [{ name: 'r', match: {}, action: 'accept', ...rule }] } as RoutePolicy;
    assert.match(findPolicyFault(policy) ?? 'fine', why);
  });
}

test('a policy without fault is used', () => {
  assert.equal(findPolicyFault(mesh), undefined);
  assert.ok(saysNothing({ rules: [], default: 'accept' }));
  assert.ok(!saysNothing({ rules: [], default: 'reject' }));
});
