/** What every route back end must do, on a real kernel: run by test/kernel/route-backend.test.ts in a namespace with `up0`. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import type { NexthopObject } from '../calc/nexthop-groups.ts';
import type { Route } from '../iproute2/route.ts';
import type { RouteBackend, RouteOwnership } from './route-backend.ts';

const PROTOCOL = 84;
const METRIC = 8400;
const hop = (gateway: string) => ({ gateway: parseIp(gateway), device: 'up0', onlink: false });
const base = { protocol: PROTOCOL, metric: METRIC, link: false, source: undefined, dead: false } as const;
const via = (prefix: string, ...gateways: string[]): Route => ({
  ...base,
  prefix: parsePrefix(prefix),
  type: 'unicast',
  nextHops: gateways.map(hop),
});
const blackhole = (prefix: string): Route => ({
  ...base,
  prefix: parsePrefix(prefix),
  type: 'blackhole',
  nextHops: [],
});
const byGroup = (prefix: string, group: number): Route => ({
  ...base,
  prefix: parsePrefix(prefix),
  type: 'unicast',
  nextHops: [],
  group,
});
const single = (id: number, gateway: string): NexthopObject => ({
  id,
  protocol: PROTOCOL,
  hop: hop(gateway),
  members: [],
});
const group = (id: number, ...members: number[]): NexthopObject => ({
  id,
  protocol: PROTOCOL,
  hop: undefined,
  members,
});

/** The rows both families share. */
const families = [
  { name: 'IPv4', ip: 'ip -4', to: (n: number) => `10.77.${n}.0/24`, gateways: ['172.18.0.3', '172.18.0.4'], id: 100 },
  { name: 'IPv6', ip: 'ip -6', to: (n: number) => `fd77:${n}::/64`, gateways: ['fd18::3', 'fd18::4'], id: 200 },
] as const;

/** `sh` runs a script in the namespace this process and the back end are in. */
export function routeBackendContract(
  name: string,
  open: (ownership: RouteOwnership) => Promise<RouteBackend>,
  sh: (script: string) => string,
): void {
  describe(`route back end ${name}`, () => {
    let backend: RouteBackend;
    before(async () => {
      backend = await open({ protocol: PROTOCOL, metric: METRIC, nexthops: true });
    });
    after(() => backend.stop());

    for (const { name: family, ip, to, gateways, id } of families) {
      const [first, second] = gateways;

      test(`${family}: what was written is read back the same, and reported once`, async () => {
        const routes = [via(to(1), first), via(to(2), first, second), blackhole(to(3))];
        assert.deepEqual([...(await backend.applyRoutes(routes.map((route) => ({ verb: 'add', route }))))], []);
        const { changes } = await backend.read(undefined);
        for (const route of routes) {
          const read = changes.get(route.prefix);
          assert.deepEqual(read?.nextHops, route.nextHops);
          assert.equal(read.type, route.type);
        }
        const known = new Map(
          [...changes].flatMap(([prefix, route]) => (route === undefined ? [] : [[prefix, route]])),
        );
        assert.equal((await backend.read(known)).changes.size, 0);
      });

      test(`${family}: an addition is exclusive, and one refusal does not stop the others`, async () => {
        sh(`${ip} route add ${to(4)} via ${second} proto static metric ${METRIC}`);
        const routes = [via(to(4), first), via(to(5), first)];
        const refused = await backend.applyRoutes(routes.map((route) => ({ verb: 'add', route })));
        assert.deepEqual([...refused.keys()], [0]);
        assert.match(refused.get(0) ?? '', /File exists/);
        assert.match(sh(`${ip} route show ${to(4)}`), /proto static/);
        assert.match(sh(`${ip} route show ${to(5)}`), /proto 84/);
      });

      test(`${family}: a deletion hits no foreign route, and absence is no refusal`, async () => {
        const gone = [via(to(4), first), via(to(9), first), via(to(5), first)];
        assert.equal((await backend.applyRoutes(gone.map((route) => ({ verb: 'delete', route })))).size, 0);
        assert.match(sh(`${ip} route show ${to(4)}`), /proto static/);
        assert.equal(sh(`${ip} route show ${to(5)}`), '');
      });

      test(`${family}: routes follow the group they point at`, async () => {
        const objects = [single(id, first), single(id + 1, second), group(id + 2, id)];
        assert.equal((await backend.applyNexthops(objects.map((nexthop) => ({ verb: 'add', nexthop })))).size, 0);
        assert.equal((await backend.applyRoutes([{ verb: 'add', route: byGroup(to(6), id + 2) }])).size, 0);
        await backend.applyNexthops([{ verb: 'replace', nexthop: group(id + 2, id + 1) }]);
        assert.match(sh(`${ip} route show ${to(6)}`), new RegExp(`via ${second} `));
        const reading = await backend.read(undefined);
        assert.equal(reading.changes.get(parsePrefix(to(6)))?.group, id + 2);
        assert.deepEqual(reading.nexthops.get(id + 2)?.members, [id + 1]);
        assert.deepEqual(reading.nexthops.get(id)?.hop, hop(first));
      });

      test(`${family}: a plain route and one by group replace each other`, async () => {
        for (const route of [byGroup(to(2), id + 2), via(to(2), second), byGroup(to(2), id + 2)]) {
          assert.equal((await backend.applyRoutes([{ verb: 'replace', route }])).size, 0);
          assert.equal((await backend.read(undefined)).changes.get(route.prefix)?.group, route.group);
        }
      });

      test(`${family}: what others did to ours is seen by a recheck`, async () => {
        const before = await backend.read(undefined);
        assert.ok(before.changes.has(parsePrefix(to(1))));
        sh(`${ip} route del ${to(1)} proto 84`);
        const changes = await backend.recheck([parsePrefix(to(1))]);
        assert.ok(changes.has(parsePrefix(to(1))));
        assert.equal(changes.get(parsePrefix(to(1))), undefined);
      });

      test(`${family}: deleting groups and members twice is no refusal`, async () => {
        const objects = [group(id + 2, id + 1), single(id, first), single(id + 1, second)];
        const steps = [...objects, ...objects].map((nexthop) => ({ verb: 'delete', nexthop }) as const);
        assert.equal((await backend.applyNexthops(steps)).size, 0);
        assert.equal(sh(`${ip} route show ${to(6)}`), '');
        await backend.applyRoutes([{ verb: 'delete', route: blackhole(to(3)) }]);
        sh(`${ip} route del ${to(4)}`);
      });
    }
  });
}
