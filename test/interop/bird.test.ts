/** Our speaker against BIRD 2: sessions, routes both ways, policy words, shutdown texts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import { needRoot } from '../support/need.ts';
import { BIRD4, BIRD6, type BirdSetup, manxSetup, pause, TwoRouters, until } from './two-routers.ts';

const options = { ...needRoot('ip', 'bird', 'birdc', 'nsenter'), timeout: 60_000 };
const THEIRS = { routes4: ['10.1.0.0/24', '10.1.1.0/24'], routes6: ['2001:db8:1::/48'] };
const OURS = ['10.2.0.0/26', '2001:db8:2::/64'];
const ALL_THEIRS = [...THEIRS.routes4, ...THEIRS.routes6];

async function withRouters(run: (routers: TwoRouters) => Promise<void>): Promise<void> {
  const routers = new TwoRouters();
  try {
    await run(routers);
  } finally {
    await routers.remove();
  }
}

const ebgp: BirdSetup = { as: 65001, peerAs: 65002, ...THEIRS };

test('eBGP, dual stack over one IPv4 session: routes both ways, with next hops that forward', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    const best = await speaker.holds(ALL_THEIRS);
    assert.deepEqual(best.routes['10.1.0.0/24'], [BIRD4]);
    assert.deepEqual(best.routes['2001:db8:1::/48'], [BIRD6], 'the global one of the pair BIRD sends');
    await until('we are in sync by End-of-RIB', async () => (await speaker.best()).inSync);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
    const all = routers.birdc('show', 'route', 'protocol', 'manx', 'all');
    assert.match(all, /10\.2\.0\.0\/26[\s\S]*?BGP\.as_path: 65002\n\s*BGP\.next_hop: 192\.0\.2\.2\n/);
    assert.match(all, /2001:db8:2::\/64[\s\S]*?BGP\.next_hop: 2001:db8:0:1::2\b/);

    await speaker.originate(['10.2.0.64/26']);
    await until('bird follows a withdrawal and an addition', () => {
      const routes = routers.birdRoutes();
      return routes.size === 1 && routes.has('10.2.0.64/26');
    });
    routers.birdc('disable', 's6');
    await speaker.holds(THEIRS.routes4);
    const status = await speaker.peer();
    assert.deepEqual([status.received, status.accepted, status.advertised, status.flaps], [2, 2, 1, 0]);
    assert.equal(status.routerId, BIRD4);
  }),
);

test('iBGP: next hop and LOCAL_PREF inside the AS', options, () =>
  withRouters(async (routers) => {
    await routers.startBird({ as: 64512, peerAs: 64512, options: 'direct;', ...THEIRS });
    const speaker = routers.startSpeaker(manxSetup(64512, { as: 64512 }, { originated: OURS }));
    await speaker.holds(ALL_THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
    const all = routers.birdc('show', 'route', 'protocol', 'manx', 'all');
    assert.match(all, /BGP\.local_pref: 100/);
    const route = (await speaker.routes()).find(({ prefix }) => prefix === '10.1.0.0/24');
    assert.deepEqual([route?.paths[0]?.source, route?.paths[0]?.asPath], ['ibgp', '']);
  }),
);

test('a session over IPv6 carries IPv4 routes too', options, () =>
  withRouters(async (routers) => {
    await routers.startBird({ ...ebgp, over6: true });
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS, over6: true }));
    const best = await speaker.holds(ALL_THEIRS);
    assert.deepEqual(best.routes['10.1.0.0/24'], [BIRD4]);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
  }),
);

test('four-octet AS numbers on both sides', options, () =>
  withRouters(async (routers) => {
    await routers.startBird({ ...ebgp, as: 4_200_000_001, peerAs: 4_200_000_002 });
    const speaker = routers.startSpeaker(manxSetup(4_200_000_002, { as: 4_200_000_001 }, { originated: OURS }));
    await speaker.holds(ALL_THEIRS);
    const [route] = await speaker.routes();
    assert.equal(route?.paths[0]?.asPath, '4200000001');
    await until('bird has ours', () => routers.birdc('show', 'route', 'all').includes('as_path: 4200000002'));
  }),
);

test('passive on either side: the other dials', options, async () => {
  await withRouters(async (routers) => {
    await routers.startBird({ ...ebgp, options: 'passive on;' });
    await routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS })).established();
  });
  await withRouters(async (routers) => {
    await routers.startBird(ebgp);
    await routers.startSpeaker(manxSetup(65002, { as: 65001, passive: true }, { originated: OURS })).established();
  });
});

for (const routerId of ['192.0.2.2', '192.0.0.2']) {
  const rank = routerId > BIRD4 ? 'higher' : 'lower';
  test(`ten starts at the same moment give ten sessions, with the ${rank} router id on our side`, options, () =>
    withRouters(async (routers) => {
      await routers.startBird({ ...ebgp, options: 'connect delay time 0;' });
      const setup = manxSetup(65002, { as: 65001 }, { originated: OURS });
      const config = { ...setup.config, routerId: parseIp(routerId) };
      const speaker = routers.startSpeaker({ ...setup, config });
      await speaker.established();
      for (let round = 0; round < 10; round++) {
        await speaker.setPeers([]);
        await until('bird saw us go', () => !/Established/.test(routers.birdc('show', 'protocols', 'manx')));
        routers.birdc('restart', 'manx');
        await speaker.setPeers(setup.peers);
        await speaker.holds(ALL_THEIRS);
      }
      await pause(300);
      const { flaps, state } = await speaker.peer();
      assert.deepEqual([flaps, state], [0, 'established']);
    }),
  );
}

test('administrative texts arrive on both sides, and routes go at once', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001, gracefulRestart: false }, { originated: OURS }));
    await speaker.holds(ALL_THEIRS);
    routers.birdc('disable', 'manx', '"rack 7 moves today"');
    await speaker.holds([]);
    const { reason } = await speaker.peer();
    assert.match(reason, /NOTIFICATION 6\/2 .*"rack 7 moves today"|refused|closed/);
    assert.ok(speaker.log.some((line) => line.includes('rack 7 moves today')));
    routers.birdc('enable', 'manx');
    await speaker.holds(ALL_THEIRS);
    await speaker.stop('shutdown');
    await until('bird lost ours', () => routers.birdRoutes().size === 0);
    assert.match(routers.birdc('show', 'protocols', 'all', 'manx'), /Administrative shutdown[\s\S]*shutting down/);
  }),
);

test('a removed peer is told: peer de-configured', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    await speaker.holds(ALL_THEIRS);
    await routers.birdEstablished();
    await speaker.setPeers([]);
    await until('bird lost ours', () => routers.birdRoutes().size === 0);
    assert.match(routers.birdc('show', 'protocols', 'manx'), /de-configured/);
    await speaker.holds([]);
  }),
);

test('a wrong AS is refused by name on our side, and the session comes up once it is right', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65009 }, { originated: OURS }));
    await until('our side names the fault', () =>
      speaker.log.some((l) => l.includes('peer says AS 65001, expected 65009')),
    );
    await speaker.setPeers(manxSetup(65002, { as: 65001 }).peers);
    await speaker.holds(ALL_THEIRS);
  }),
);

test('bird asks again (ROUTE-REFRESH) and is told again', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    await speaker.holds(ALL_THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
    const imports = (): number =>
      [...routers.birdc('show', 'protocols', 'all', 'manx').matchAll(/Import updates:\s+(\d+)/g)]
        .map((match) => Number(match[1]))
        .reduce((sum, count) => sum + count, 0);
    assert.equal(imports(), 2);
    routers.birdc('reload', 'in', 'manx');
    await until('both families told again', () => imports() === 4);
    assert.equal((await speaker.peer()).flaps, 0);
  }),
);

test('a policy refuses what bird must not tell us, without touching the session', options, () =>
  withRouters(async (routers) => {
    await routers.startBird({ ...ebgp, routes4: ['0.0.0.0/0', '10.1.0.0/24'] });
    const setup = manxSetup(65002, { as: 65001 }, { originated: OURS });
    const noDefault = {
      rules: [
        {
          name: 'no default',
          match: { prefixes: [{ prefix: '0.0.0.0/0', minLength: 0, maxLength: 0 }] },
          action: 'reject',
        },
      ],
      default: 'accept',
    } as unknown as (typeof setup.peers)[number]['import'];
    const speaker = routers.startSpeaker({ ...setup, peers: setup.peers.map((p) => ({ ...p, import: noDefault })) });
    await speaker.holds(['10.1.0.0/24', '2001:db8:1::/48']);
    const status = await speaker.peer();
    assert.deepEqual([status.received, status.accepted], [3, 2]);
    assert.ok(
      status.importRules.some(({ rule, action, count }) => rule === 'no default' && action === 'reject' && count === 1),
    );
  }),
);
