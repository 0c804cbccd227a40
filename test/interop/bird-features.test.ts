/** Our speaker against BIRD 2: what protects a session, what limits a peer, what is told again, reflected and changed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerSpec } from '#bgp';
import { createSocketPort } from '#libc';
import { parsePrefix } from '#net';
import { needRoot } from '../support/need.ts';
import { BIRD4, type BirdSetup, manxSetup, pause, TwoRouters, until } from './two-routers.ts';

const rooted = needRoot('ip', 'bird', 'birdc', 'nsenter');
const options = { ...rooted, timeout: 60_000 };
const noSockets = createSocketPort().unavailable();
const withSockets = { ...options, ...(noSockets === undefined ? {} : { skip: noSockets }) };
const THEIRS = { routes4: ['10.1.0.0/24', '10.1.1.0/24'], routes6: ['2001:db8:1::/48'] };
const ALL_THEIRS = [...THEIRS.routes4, ...THEIRS.routes6];
const OURS = ['10.2.0.0/26', '2001:db8:2::/64'];
const ebgp: BirdSetup = { as: 65001, peerAs: 65002, ...THEIRS };

async function withRouters(run: (routers: TwoRouters) => Promise<void>): Promise<void> {
  const routers = new TwoRouters();
  try {
    await run(routers);
  } finally {
    await routers.remove();
  }
}

const ours = (peer: Partial<PeerSpec> = {}, more: { over6?: boolean } = {}) =>
  manxSetup(65002, { as: 65001, ...peer }, { originated: OURS, ...more });

for (const [name, more] of [
  ['IPv4', {}],
  ['IPv6', { over6: true }],
] as const) {
  for (const passive of [true, false]) {
    test(`TCP MD5 over ${name}, ${passive ? 'bird' : 'we'} dialling (RFC 2385)`, withSockets, () =>
      withRouters(async (routers) => {
        const line = passive ? '' : 'passive on;';
        await routers.startBird({ ...ebgp, ...more, options: `password "s3cret"; ${line}` });
        const speaker = routers.startSpeaker(ours({ password: 's3cret', passive }, more));
        await speaker.holds(ALL_THEIRS);
        await until('bird has ours', () => routers.birdRoutes().size === 2);
        const { security } = await speaker.peer();
        assert.deepEqual(security, ['md5']);
        assert.doesNotMatch(JSON.stringify([await speaker.peers(), speaker.log]), /s3cret/);
      }),
    );
  }

  test(`GTSM over ${name} (RFC 5082)`, withSockets, () =>
    withRouters(async (routers) => {
      await routers.startBird({ ...ebgp, ...more, options: 'ttl security on;' });
      const setup = ours({ ttlSecurity: 1 }, more);
      const speaker = routers.startSpeaker(setup);
      await speaker.holds(ALL_THEIRS);
      for (const passive of [true, false]) {
        await speaker.setPeers(setup.peers.map((peer) => ({ ...peer, passive })));
        await speaker.established();
      }
    }),
  );
}

test('a wrong key and a missing one give no session, and the right one does without a restart', withSockets, () =>
  withRouters(async (routers) => {
    await routers.startBird({ ...ebgp, options: 'password "right";' });
    const setup = ours({ password: 'wrong' });
    const speaker = routers.startSpeaker(setup);
    const use = (password: string): Promise<void> =>
      speaker.setPeers(setup.peers.map((peer) => ({ ...peer, password })));
    await pause(3_000);
    assert.notEqual((await speaker.peer()).state, 'established');
    await speaker.setPeers(setup.peers.map(({ password: _password, ...peer }) => peer));
    await pause(3_000);
    assert.notEqual((await speaker.peer()).state, 'established');
    await use('right');
    await speaker.holds(ALL_THEIRS);
    const { flaps } = await speaker.peer();
    await use('next');
    routers.configure((text) => text.replace('password "right"', 'password "next"'));
    await until('a session with the next key', async () => {
      const now = await speaker.peer();
      return now.state === 'established' && now.accepted === 3;
    });
    assert.ok((await speaker.peer()).flaps <= flaps + 1, 'only bird restarts its session');
  }),
);

test('a range with a key admits bird, under a name of its own', withSockets, () =>
  withRouters(async (routers) => {
    await routers.startBird({ ...ebgp, options: 'password "ranged";' });
    const speaker = routers.startSpeaker(ours({ password: 'ranged', range: parsePrefix('192.0.2.0/24') }));
    await speaker.holds(ALL_THEIRS);
    const [admitted, range] = await speaker.peers();
    assert.deepEqual([admitted?.name, admitted?.admittedBy, range?.name], [`bird/${BIRD4}`, 'bird', 'bird']);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
  }),
);

test('route refresh both ways, with markers: nothing is lost (RFC 2918, RFC 7313)', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const speaker = routers.startSpeaker(ours());
    await speaker.holds(ALL_THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
    assert.match(routers.birdc('show', 'protocols', 'all', 'manx'), /Neighbor capabilities[\s\S]*Enhanced refresh/);
    routers.birdc('reload', 'in', 'manx');
    await speaker.reset('bird', 'soft-in');
    await speaker.reset('bird', 'soft-out');
    await pause(1_000);
    await speaker.holds(ALL_THEIRS);
    assert.equal(routers.birdRoutes().size, 2);
    assert.deepEqual([speaker.lost, (await speaker.peer()).flaps], [[], 0]);
  }),
);

test('more prefixes than allowed: Cease 6/1, nothing of it is used, and a new try after the time set', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const prefixLimit = { received: 2, action: 'restart', restartSec: 4 } as const;
    const setup = ours({ prefixLimit, gracefulRestart: false });
    const speaker = routers.startSpeaker(setup);
    await until('cut off', async () => /more than 2 prefixes received/.test((await speaker.peer()).reason));
    await until('bird was told', () =>
      /Maximum number of prefixes/i.test(routers.birdc('show', 'protocols', 'all', 'manx')),
    );
    await speaker.holds([]);
    routers.birdc('disable', 's6');
    await speaker.holds(THEIRS.routes4);
  }),
);

test('bird as reflector client: it is told ours, and nothing of its own comes back', options, () =>
  withRouters(async (routers) => {
    await routers.startBird({
      as: 64512,
      peerAs: 64512,
      options: 'direct; rr client; rr cluster id 192.0.2.100;',
      ...THEIRS,
    });
    const speaker = routers.startSpeaker(
      manxSetup(64512, { as: 64512, routeReflectorClient: true }, { originated: OURS }),
    );
    await speaker.holds(ALL_THEIRS);
    await until('bird has ours, and only ours', () => routers.birdRoutes().size === 2);
    assert.equal((await speaker.peer()).advertised, 2);
  }),
);

test('policy: MED, prepending and communities as we set them, preference on what bird tells', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(ebgp);
    const rule = (set: object) => ({
      rules: [{ name: 'all', match: {}, action: 'accept' as const, set }],
      default: 'reject' as const,
    });
    const community = 65002 * 65536 + 7;
    const setup = ours({
      export: rule({ med: 77, prepend: [65002], addCommunities: [community] }),
      import: rule({ localPref: 321 }),
    });
    const speaker = routers.startSpeaker(setup);
    await speaker.holds(ALL_THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 2);
    const all = routers.birdc('show', 'route', 'protocol', 'manx', 'all');
    assert.match(all, /BGP\.as_path: 65002 65002\n/);
    assert.match(all, /BGP\.med: 77\n/);
    assert.match(all, /BGP\.community: \(65002,7\)/);
    const route = (await speaker.routes()).find(({ prefix }) => prefix === '10.1.0.0/24');
    assert.equal(route?.paths[0]?.localPref, 321);
    await speaker.setPeers(setup.peers.map((peer) => ({ ...peer, gracefulShutdown: true })));
    await until('bird sees GRACEFUL_SHUTDOWN', () =>
      routers.birdc('show', 'route', 'protocol', 'manx', 'all').includes('(65535,0)'),
    );
    assert.equal((await speaker.peer()).flaps, 0);
  }),
);
