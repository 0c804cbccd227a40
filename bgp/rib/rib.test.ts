import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Ip, ipFromBytes, makePrefix, type Prefix, parseIp, parsePrefix } from '#net';
import { EMPTY_ATTRIBUTES, type PathAttributes } from '../wire/attribute/attributes.ts';
import type { WireContext } from '../wire/context.ts';
import { Framer } from '../wire/framing.ts';
import { decodeUpdate, type UpdateMessage } from '../wire/update.ts';
import { AdjRibIn } from './adj-rib-in.ts';
import { choose } from './decision.ts';
import { type ExportTarget, exportPath } from './export.ts';
import { AttributeMemo } from '../policy/changes.ts';
import { changePath, judgeImport } from './import.ts';
import { LocRib } from './loc-rib.ts';
import { Community, formatAsPath, localPath, type Path } from './path.ts';
import { PrefixTable } from './prefix-table.ts';
import { type Member, UpdateGroup } from './update-group.ts';

const V4 = parsePrefix('10.64.0.0/26');
const V6 = parsePrefix('2001:db8::/64');
const HOP = parseIp('192.0.2.7');
const accept = { rules: [], default: 'accept' } as const;

function learned(
  kind: 'ebgp' | 'ibgp',
  {
    prefix = V4,
    name = 'p',
    nextHop = HOP,
    attributes = {},
  }: { prefix?: Prefix; name?: string; nextHop?: Ip; attributes?: Partial<PathAttributes> } = {},
): Path {
  const source = { name, kind, address: nextHop, routerId: parseIp('10.0.0.1') };
  const asPath = kind === 'ebgp' ? [{ kind: 'sequence' as const, asns: [65001] }] : [];
  return { prefix, source, nextHop, attributes: { ...EMPTY_ATTRIBUTES, asPath, ...attributes } };
}

function target(peerType: 'ebgp' | 'ibgp', changes: Partial<ExportTarget> = {}): ExportTarget {
  return {
    name: 'target',
    peerType,
    localAs: 64512,
    families: [4, 6],
    nextHopSelf: {},
    localAddress: parseIp('192.0.2.1'),
    policy: accept,
    cache: new WeakMap(),
    ...changes,
  };
}

// Export: RFC 4271 §5.1, §9.2; RFC 1997.
const refusals: readonly [string, Path, ExportTarget, RegExp][] = [
  ['back to where it came from', learned('ebgp', { name: 'target' }), target('ebgp'), /from this peer/],
  ['iBGP to iBGP', learned('ibgp'), target('ibgp'), /iBGP to iBGP/],
  ['a family that was not negotiated', localPath(V6, []), target('ibgp', { families: [4] }), /not negotiated/],
  ['IPv6 without an IPv6 next hop', localPath(V6, []), target('ebgp'), /no IPv6 next hop/],
  ['NO_ADVERTISE, even inside', localPath(V4, [Community.noAdvertise]), target('ibgp'), /NO_ADVERTISE/],
  ['NO_EXPORT to another AS', localPath(V4, [Community.noExport]), target('ebgp'), /NO_EXPORT$/],
  ['NO_EXPORT_SUBCONFED to another AS', localPath(V4, [Community.noExportSubconfed]), target('ebgp'), /SUBCONFED/],
  [
    'what the policy refuses',
    localPath(V4, []),
    target('ebgp', { policy: { rules: [], default: 'reject' } }),
    /default/,
  ],
];
for (const [name, path, to, why] of refusals) {
  test(`not exported: ${name}`, () => assert.match(exportPath(path, to).refused ?? 'exported', why));
}

test('NO_EXPORT stays inside the AS and is passed on there', () => {
  const { route } = exportPath(localPath(V4, [Community.noExport]), target('ibgp'));
  assert.deepEqual(route?.attributes.communities, [Community.noExport]);
});

test('towards another AS: own AS in front, own next hop, no LOCAL_PREF, no received MED, no reflection attributes', () => {
  const attributes = { localPref: 300, med: 7, originatorId: HOP, clusterList: [HOP] };
  const { route } = exportPath(learned('ebgp', { attributes }), target('ebgp'));
  assert.equal(route?.nextHop, '192.0.2.1');
  assert.deepEqual(route?.attributes, { ...EMPTY_ATTRIBUTES, asPath: [{ kind: 'sequence', asns: [64512, 65001] }] });
});

test('inside the AS: LOCAL_PREF present, AS_PATH and learned next hop unchanged unless next-hop-self', () => {
  const path = learned('ebgp');
  const kept = exportPath(path, target('ibgp')).route;
  assert.deepEqual([kept?.nextHop, kept?.attributes.localPref], [HOP, 100]);
  assert.deepEqual(kept?.attributes.asPath, path.attributes.asPath);
  const self = exportPath(path, target('ibgp', { nextHopSelf: { 4: parseIp('192.0.2.99') } })).route;
  assert.equal(self?.nextHop, '192.0.2.99');
});

test('unknown attributes go on only when transitive, with the Partial bit; dangerous ones never leave the AS', () => {
  const unknown = [
    { flags: 0xc0, code: 99, value: Uint8Array.of(1) },
    { flags: 0x80, code: 98, value: Uint8Array.of(2) },
    { flags: 0xc0, code: 40, value: Uint8Array.of(3) },
  ];
  const path = learned('ebgp', { attributes: { unknown } });
  assert.deepEqual(
    exportPath(path, target('ebgp')).route?.attributes.unknown.map(({ code, flags }) => [code, flags]),
    [[99, 0xe0]],
  );
  assert.deepEqual(
    exportPath(path, target('ibgp')).route?.attributes.unknown.map(({ code }) => code),
    [99, 40],
  );
});

test('a full AS_PATH segment gets a new one in front, a set too', () => {
  const full = learned('ebgp', {
    attributes: { asPath: [{ kind: 'sequence', asns: Array.from({ length: 255 }, () => 1) }] },
  });
  assert.deepEqual(exportPath(full, target('ebgp')).route?.attributes.asPath[0]?.asns, [64512]);
  const set = learned('ebgp', { attributes: { asPath: [{ kind: 'set', asns: [1, 2] }] } });
  assert.deepEqual(exportPath(set, target('ebgp')).route?.attributes.asPath[0], { kind: 'sequence', asns: [64512] });
});

// Import: RFC 4271 §9.1.2, RFC 4456 §8.
const context = { localAs: 64512, routerId: parseIp('10.0.0.9'), addresses: [parseIp('192.0.2.1')], policy: accept };
const loops: readonly [string, Path, RegExp][] = [
  [
    'own AS in AS_PATH',
    learned('ebgp', { attributes: { asPath: [{ kind: 'sequence', asns: [1, 64512] }] } }),
    /own AS 64512/,
  ],
  ['own AS in a set', learned('ebgp', { attributes: { asPath: [{ kind: 'set', asns: [64512] }] } }), /own AS/],
  ['own ORIGINATOR_ID', learned('ibgp', { attributes: { originatorId: parseIp('10.0.0.9') } }), /ORIGINATOR_ID/],
  ['own address as next hop', learned('ibgp', { nextHop: parseIp('192.0.2.1') }), /own address/],
];
for (const [name, path, why] of loops) {
  test(`refused on import: ${name}`, () => assert.match(judgeImport(path, context).refused ?? 'accepted', why));
}

const strangers: readonly [string, Path, object, RegExp | undefined][] = [
  [
    'own AS as often as allowed',
    learned('ebgp', { attributes: { asPath: asPath(65001, 64512) } }),
    { allowedLocalAs: 1 },
    undefined,
  ],
  [
    'own AS more often than allowed',
    learned('ebgp', { attributes: { asPath: asPath(64512, 64512) } }),
    { allowedLocalAs: 1 },
    /own AS/,
  ],
  [
    'own cluster id',
    learned('ibgp', { attributes: { clusterList: [parseIp('10.0.0.7')] } }),
    { clusterId: parseIp('10.0.0.7') },
    /own cluster/,
  ],
  [
    'another cluster id',
    learned('ibgp', { attributes: { clusterList: [parseIp('10.0.0.8')] } }),
    { clusterId: parseIp('10.0.0.7') },
    undefined,
  ],
  [
    'a first AS that is not the peer',
    learned('ebgp'),
    { peerAs: 65002 },
    /first AS of the path is 65001, expected 65002/,
  ],
  ['the peer as first AS', learned('ebgp'), { peerAs: 65001 }, undefined],
  ['any path from our own AS', learned('ibgp'), { peerAs: 64512 }, undefined],
  ['another AS without a policy (RFC 8212)', learned('ebgp'), { requirePolicy: true }, /RFC 8212/],
  ['our own AS without a policy', learned('ibgp'), { requirePolicy: true }, undefined],
];
for (const [name, path, changes, why] of strangers) {
  test(`${why === undefined ? 'taken' : 'refused'} on import: ${name}`, () => {
    assert.match(judgeImport(path, { ...context, ...changes }).refused ?? 'accepted', why ?? /^accepted$/);
  });
}

function asPath(...asns: readonly number[]) {
  return [{ kind: 'sequence' as const, asns }];
}

test('what a policy sets goes into the Loc-RIB, and GRACEFUL_SHUTDOWN from another AS makes a route the last resort', () => {
  const memo = new AttributeMemo();
  const set = { localPref: 300, nextHop: parseIp('192.0.2.50') };
  const changed = changePath(learned('ebgp'), set, memo);
  assert.deepEqual([changed.attributes.localPref, changed.nextHop], [300, '192.0.2.50']);
  const other = changePath(learned('ebgp'), { nextHop: parseIp('2001:db8::1') }, memo);
  assert.equal(other.nextHop, HOP, 'a next hop of another family is for other routes');
  const communities = [Community.gracefulShutdown];
  const leaving = learned('ebgp', { attributes: { communities } });
  assert.equal(changePath(leaving, set, memo).attributes.localPref, 0);
  const inside = learned('ibgp', { attributes: { communities, localPref: 100 } });
  assert.equal(changePath(inside, undefined, memo), inside, 'inside the AS the preference has been set at the border');
});

// Route reflection: RFC 4456 §6 and §8. Who may be told what an internal peer told us.
const clusterId = parseIp('10.0.0.7');
for (const [from, to, told] of [
  [false, false, false],
  [false, true, true],
  [true, false, true],
  [true, true, true],
] as const) {
  const kind = (client: boolean): string => (client ? 'client' : 'non-client');
  test(`a route of a ${kind(from)} is ${told ? 'reflected' : 'not reflected'} to a ${kind(to)}`, () => {
    const path = learned('ibgp');
    const reflected = exportPath(
      { ...path, source: { ...path.source, client: from } },
      target('ibgp', { clusterId, client: to }),
    );
    assert.equal(reflected.route !== undefined, told);
  });
}

test('a reflected route says who originated it and which clusters it passed, and keeps everything else', () => {
  const path = learned('ibgp', { attributes: { localPref: 7, med: 9 } });
  const self = { 4: parseIp('192.0.2.99') };
  const to = target('ibgp', { clusterId, client: true, nextHopSelf: self });
  const { route } = exportPath(path, to);
  assert.deepEqual([route?.attributes.originatorId, route?.attributes.clusterList], ['10.0.0.1', [clusterId]]);
  assert.deepEqual([route?.nextHop, route?.attributes.localPref, route?.attributes.med], [HOP, 7, 9]);
  const twice = learned('ibgp', { attributes: { originatorId: HOP, clusterList: [HOP] } });
  const again = exportPath(twice, to).route?.attributes;
  assert.deepEqual([again?.originatorId, again?.clusterList], [HOP, [clusterId, HOP]]);
  const back = exportPath(twice, { ...to, peerRouterId: HOP });
  assert.match(back.refused ?? '', /originated/);
  assert.equal(exportPath(path, { ...to, nextHop: 'self' }).route?.nextHop, self[4]);
});

test('an export policy sets MED, prepends behind our own AS, and chooses the next hop', () => {
  const set = { med: 50, prepend: [64512, 64512], localPref: 5, nextHop: parseIp('192.0.2.77'), addCommunities: [1] };
  const policy = { rules: [{ name: 'r', match: {}, action: 'accept' as const, set }], default: 'reject' as const };
  const { route } = exportPath(learned('ebgp', { attributes: { med: 3 } }), target('ebgp', { policy }));
  assert.equal(route?.nextHop, '192.0.2.77');
  assert.deepEqual(route?.attributes, {
    ...EMPTY_ATTRIBUTES,
    med: 50,
    communities: [1],
    asPath: [{ kind: 'sequence', asns: [64512, 64512, 64512, 65001] }],
  });
  const keep = target('ebgp', { nextHop: 'keep' });
  assert.equal(exportPath(learned('ebgp'), keep).route?.nextHop, HOP);
});

test('leaving: everything carries GRACEFUL_SHUTDOWN, and no preference inside the AS (RFC 8326)', () => {
  const inside = exportPath(localPath(V4, []), target('ibgp', { gracefulShutdown: true })).route?.attributes;
  assert.deepEqual([inside?.communities, inside?.localPref], [[Community.gracefulShutdown], 0]);
  const outside = exportPath(localPath(V4, []), target('ebgp', { gracefulShutdown: true })).route?.attributes;
  assert.deepEqual([outside?.communities, outside?.localPref], [[Community.gracefulShutdown], undefined]);
});

test('another AS without an export policy is told nothing (RFC 8212)', () => {
  const { refused } = exportPath(localPath(V4, []), target('ebgp', { requirePolicy: true }));
  assert.match(refused ?? '', /RFC 8212/);
});

test('Adj-RIB-In counts, keeps refused routes, and forgets what is withdrawn', () => {
  const table = new PrefixTable();
  const rib = new AdjRibIn(table);
  const [v4, v6] = [table.intern(V4), table.intern(V6)];
  rib.announce(v4, { route: learned('ibgp'), refused: undefined });
  rib.announce(v6, { route: learned('ibgp', { prefix: V6 }), refused: 'because' });
  assert.deepEqual([rib.received, rib.accepted], [2, 1]);
  rib.judge(v6, { route: learned('ibgp', { prefix: V6 }), refused: undefined });
  assert.deepEqual([rib.received, rib.accepted], [2, 2]);
  assert.ok(rib.withdraw(v4));
  assert.ok(!rib.withdraw(v4));
  assert.deepEqual([rib.received, rib.accepted], [1, 1]);
});

test('Adj-RIB-In against a naive model, over any sequence of announce, withdraw, restart and End-of-RIB', () => {
  const prefixes = [V4, V6, parsePrefix('10.64.0.64/26')];
  const operation = fc.oneof(
    fc.record({ op: fc.constant('announce' as const), prefix: fc.constantFrom(...prefixes), ok: fc.boolean() }),
    fc.record({ op: fc.constant('withdraw' as const), prefix: fc.constantFrom(...prefixes) }),
    fc.record({ op: fc.constant('restart' as const), families: fc.subarray([4, 6] as const) }),
    fc.record({ op: fc.constant('end-of-rib' as const), family: fc.constantFrom(4 as const, 6 as const) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
      const table = new PrefixTable();
      const rib = new AdjRibIn(table);
      const model = new Map<Prefix, { ok: boolean; stale: boolean }>();
      const familyOf = (prefix: Prefix): number => (prefix.includes(':') ? 6 : 4);
      for (const step of operations) {
        if (step.op === 'announce') {
          const route = learned('ibgp', { prefix: step.prefix });
          rib.announce(table.intern(step.prefix), { route, refused: step.ok ? undefined : 'no' });
          model.set(step.prefix, { ok: step.ok, stale: false });
        } else if (step.op === 'withdraw') {
          assert.equal(rib.withdraw(table.intern(step.prefix)), model.delete(step.prefix));
        } else {
          const gone = [...model].filter(([prefix, { stale }]) =>
            step.op === 'restart'
              ? stale || !step.families.some((family) => family === familyOf(prefix))
              : stale && familyOf(prefix) === step.family,
          );
          const dropped = step.op === 'restart' ? rib.markStale(step.families) : rib.sweep(step.family);
          assert.deepEqual(new Set(dropped.map((id) => table.prefix(id))), new Set(gone.map(([prefix]) => prefix)));
          for (const [prefix] of gone) model.delete(prefix);
          if (step.op === 'restart') for (const entry of model.values()) entry.stale = true;
        }
        assert.equal(rib.received, model.size);
        assert.equal(rib.accepted, [...model.values()].filter(({ ok }) => ok).length);
        assert.equal(rib.stale, [...model.values()].filter(({ stale }) => stale).length);
      }
    }),
  );
});

test('Loc-RIB: what it reports adds up to what a full selection over all paths gives', () => {
  const prefixes = [V4, V6, parsePrefix('10.64.0.64/26')];
  const operation = fc.record({
    prefix: fc.constantFrom(...prefixes),
    name: fc.constantFrom('a', 'b', 'c', ''),
    hop: fc.integer({ min: 1, max: 3 }),
    med: fc.integer({ min: 0, max: 1 }),
    remove: fc.boolean(),
    decide: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const table = new PrefixTable();
      const rib = new LocRib(table);
      const paths = new Map<string, Path>();
      const reported = new Map<Prefix, readonly Ip[]>();
      const decide = (): void =>
        rib.decide(({ id, nextHopsChanged }) => {
          if (nextHopsChanged) reported.set(table.prefix(id), rib.nextHops(id));
        });
      for (const { prefix, name, hop, med, remove, decide: now } of operations) {
        const key = `${name} ${prefix}`;
        if (remove) {
          rib.retract(table.intern(prefix), name);
          paths.delete(key);
        } else {
          const nextHop = parseIp(`192.0.2.${hop}`);
          const path =
            name === '' ? localPath(prefix, []) : learned('ibgp', { prefix, name, nextHop, attributes: { med } });
          rib.offer(table.intern(prefix), path);
          paths.set(key, path);
        }
        if (now) decide();
      }
      decide();
      for (const prefix of prefixes) {
        const verdict = choose([...paths.values()].filter((path) => path.prefix === prefix));
        const hops = new Set(verdict?.multipath.flatMap(({ nextHop }) => (nextHop === undefined ? [] : [nextHop])));
        assert.deepEqual(new Set(reported.get(prefix)), hops);
        assert.equal(rib.best(table.intern(prefix))?.source.name, verdict?.best.source.name);
      }
      assert.equal(
        rib.size,
        new Set([...paths.values()].map(({ prefix }) => prefix)).size,
        'no empty destination is left',
      );
      rib.decide(() => assert.fail('a second decision changes nothing'));
    }),
    { numRuns: 300 },
  );
});

const CONTEXT: WireContext = { fourOctetAs: true, extendedMessages: false, peerType: 'ebgp', families: [4, 6] };

/** A Loc-RIB with one update group, and what its peers believe after reading every message. */
function createGroup() {
  const table = new PrefixTable();
  const locRib = new LocRib(table);
  const group = new UpdateGroup(locRib, target('ebgp', { nextHopSelf: { 6: parseIp('2001:db8::1') } }), CONTEXT);
  const decide = (): void => {
    const ids: number[] = [];
    locRib.decide(({ id }) => ids.push(id));
    group.apply(ids);
  };
  const join = (name: string): { member: Member; knows: Map<Prefix, string>; updates: UpdateMessage[] } => {
    const knows = new Map<Prefix, string>();
    const updates: UpdateMessage[] = [];
    const write = (bytes: Uint8Array): boolean => {
      for (const message of new Framer().push(bytes)) {
        const update = decodeUpdate(message, CONTEXT);
        updates.push(update);
        for (const prefix of update.withdrawn) assert.ok(knows.delete(prefix), 'only what was told is withdrawn');
        for (const { prefix, nextHop } of update.announced) {
          knows.set(prefix, `${nextHop} ${formatAsPath(update.attributes?.asPath ?? [])}`);
        }
      }
      return true;
    };
    return { member: group.join({ name, routerId: parseIp('10.0.0.99'), write }), knows, updates };
  };
  return { table, locRib, group, decide, join };
}

test('an update group tells the last state once, groups equal attributes, and repeats only when asked', () => {
  const { table, locRib, group, decide, join } = createGroup();
  const { member, updates } = join('peer');
  const other = parsePrefix('10.64.0.64/26');
  const route = learned('ebgp');
  locRib.offer(table.intern(V4), route);
  locRib.offer(table.intern(other), route);
  group.catchUp(member);
  decide();
  assert.deepEqual(
    updates.map(({ announced }) => announced.map(({ prefix }) => prefix)),
    [[V4, other]],
    'equal attributes, one message',
  );
  locRib.offer(table.intern(V4), learned('ebgp', { attributes: { med: 7 } }));
  decide();
  assert.equal(updates.length, 1, 'a received MED is not passed on: nothing new, nothing told');
  group.refresh(member, 6);
  group.catchUp(member);
  assert.equal(updates.length, 1);
  group.refresh(member, 4);
  group.catchUp(member);
  assert.equal(updates.slice(1).flatMap(({ announced }) => announced).length, 2);
  locRib.retract(table.intern(V4), 'p');
  locRib.offer(table.intern(V6), learned('ebgp', { prefix: V6 }));
  locRib.retract(table.intern(V6), 'p');
  decide();
  assert.deepEqual(updates.at(-1)?.withdrawn, [V4], 'only what was told is withdrawn');
  assert.equal(member.advertised, 1);
});

test('members of an update group end with the same belief, whoever was full, late or the source', () => {
  const prefixes = [V4, V6, parsePrefix('10.64.0.64/26'), parsePrefix('10.64.1.0/24')];
  const names = ['a', 'b', 'c'];
  const operation = fc.oneof(
    fc.record({
      op: fc.constant('route' as const),
      prefix: fc.constantFrom(...prefixes),
      from: fc.constantFrom(...names, 'outside'),
      as: fc.integer({ min: 1, max: 2 }),
      gone: fc.boolean(),
    }),
    fc.record({ op: fc.constantFrom('full' as const, 'drained' as const), who: fc.nat({ max: 2 }) }),
    fc.constant({ op: 'tick' as const }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), fc.nat({ max: 60 }), (operations, lateAt) => {
      const { table, locRib, group, decide, join } = createGroup();
      const peers = [join('a'), join('b')];
      for (const [index, step] of operations.entries()) {
        if (index === lateAt) peers.push(join('c'));
        if (step.op === 'route') {
          const { prefix, from, as, gone } = step;
          const asPath = [{ kind: 'sequence' as const, asns: [as] }];
          if (gone) locRib.retract(table.intern(prefix), from);
          else locRib.offer(table.intern(prefix), learned('ebgp', { prefix, name: from, attributes: { asPath } }));
        } else if (step.op === 'tick') {
          decide();
          for (const { member } of peers) group.catchUp(member);
        } else {
          const peer = peers[step.who];
          if (peer !== undefined) peer.member.full = step.op === 'full';
        }
      }
      decide();
      for (const { member, knows } of peers) {
        member.full = false;
        while (group.isBehind(member)) group.catchUp(member);
        const expected = prefixes.filter((prefix) => {
          const best = locRib.best(table.intern(prefix));
          return best !== undefined && best.source.name !== member.name;
        });
        assert.deepEqual(new Set(knows.keys()), new Set(expected), member.name);
        assert.equal(member.advertised, knows.size);
        for (const [prefix, told] of knows) {
          const best = locRib.best(table.intern(prefix));
          assert.ok(told.endsWith(` ${formatAsPath(best?.attributes.asPath ?? [])}`));
          assert.ok(group.isTold(member, table.intern(prefix)));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a member that is behind is told in bites, and the rest of the group does not wait', () => {
  const { table, locRib, group, decide, join } = createGroup();
  for (let i = 0; i < 40_000; i++) {
    const prefix = parsePrefix(`10.${i >> 8}.${i & 255}.0/24`);
    locRib.offer(table.intern(prefix), learned('ebgp', { prefix }));
  }
  decide();
  const { member } = join('late');
  group.catchUp(member);
  assert.ok(member.advertised > 0 && member.advertised < 40_000);
  while (group.isBehind(member)) group.catchUp(member);
  assert.equal(member.advertised, 40_000);
});

test('a prefix table gives every prefix one number and the prefix back, through growth and forgetting', () => {
  const octets = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const prefix = fc.oneof(
    fc.tuple(octets, fc.nat({ max: 32 })).map(([bytes, length]) => makePrefix(ipFromBytes(bytes.slice(0, 4)), length)),
    fc.tuple(octets, fc.nat({ max: 128 })).map(([bytes, length]) => makePrefix(ipFromBytes(bytes), length)),
  );
  const table = new PrefixTable();
  const ids = new Map<Prefix, number>();
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 200 }), fc.boolean(), (prefixes, forget) => {
      for (const one of prefixes) {
        const id = table.intern(one);
        assert.equal(ids.get(one) ?? id, id);
        ids.set(one, id);
      }
      assert.equal(new Set(ids.values()).size, ids.size);
      for (const [one, id] of ids) assert.equal(table.prefix(id), one);
      if (!forget) return;
      const marks = new Uint8Array(table.end);
      for (const [one, id] of ids) {
        if (id % 3 === 0) ids.delete(one);
        else marks[id] = 1;
      }
      table.retainOnly(marks);
      assert.equal(table.size, ids.size);
    }),
  );
});
