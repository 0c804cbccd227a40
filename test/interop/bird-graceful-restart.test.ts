/** Graceful restart against BIRD 2, both roles: nothing is lost while a speaker is gone, and what is gone for good goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needRoot } from '../support/need.ts';
import { type BirdSetup, killChild, manxSetup, pause, TwoRouters, until } from './two-routers.ts';

const options = { ...needRoot('ip', 'bird', 'birdc', 'nsenter'), timeout: 60_000 };
const THEIRS = ['10.1.0.0/24', '10.1.1.0/24', '2001:db8:1::/48'];
const OURS = ['10.2.0.0/26', '10.2.0.64/26', '2001:db8:2::/64'];

const setup: BirdSetup = {
  as: 65001,
  peerAs: 65002,
  options: 'graceful restart on; graceful restart time 30;',
  routes4: ['10.1.0.0/24', '10.1.1.0/24'],
  routes6: ['2001:db8:1::/48'],
};

async function withRouters(run: (routers: TwoRouters) => Promise<void>): Promise<void> {
  const routers = new TwoRouters();
  try {
    await run(routers);
  } finally {
    await routers.remove();
  }
}

/** Looks at BIRD's table as often as it can while `story` runs; nothing wanted may ever be missing. */
async function neverAbsent(routers: TwoRouters, wanted: readonly string[], story: () => Promise<void>): Promise<void> {
  let looks = 0;
  let watching = true;
  const missing = new Set<string>();
  const look = (): void => {
    if (!watching) return;
    const routes = routers.birdRoutes();
    looks += 1;
    for (const prefix of wanted) if (!routes.has(prefix)) missing.add(prefix);
    setTimeout(look, 10);
  };
  look();
  try {
    await story();
  } finally {
    watching = false;
  }
  assert.deepEqual([...missing], [], `never absent in ${looks} looks`);
  assert.ok(looks >= 20, `only ${looks} looks`);
}

test(
  'killed and restarted: bird keeps our routes as stale and loses none; the unrefreshed goes at End-of-RIB',
  options,
  () =>
    withRouters(async (routers) => {
      await routers.startBird(setup);
      const first = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
      await first.holds(THEIRS);
      await until('bird has ours', () => routers.birdRoutes().size === 3);
      const kept = ['10.2.0.0/26', '2001:db8:2::/64'];
      await neverAbsent(routers, kept, async () => {
        await first.kill();
        await until('bird helps', () => routers.birdHelps());
        assert.equal(routers.birdRoutes().size, 3);
        const second = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { restarting: true }));
        await second.listening;
        await second.established();
        assert.notEqual(second.child.pid, first.child.pid);
        await second.holds(THEIRS);
        await pause(500);
        assert.ok(routers.birdHelps(), 'no End-of-RIB before we know what we originate');
        assert.equal(routers.birdRoutes().size, 3);
        await second.originate(kept);
        await until('only the refreshed ones stay', () => routers.birdRoutes().size === 2);
        await until('bird has seen End-of-RIB', () => !routers.birdHelps());
        assert.ok((await second.best()).inSync);
      });
    }),
);

test('stopped for restart: bird keeps our routes, as after a crash', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(setup);
    const first = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    await first.holds(THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 3);
    await neverAbsent(routers, OURS, async () => {
      await first.stop('restart');
      await until('bird helps', () => routers.birdHelps());
      const second = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS, restarting: true }));
      await second.listening;
      await second.holds(THEIRS);
      await until('bird has seen End-of-RIB', () => !routers.birdHelps());
      await pause(300);
    });
  }),
);

test('killed and gone: bird drops our routes when the restart time is over', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(setup);
    const spec = manxSetup(65002, { as: 65001 }, { originated: OURS });
    const config = { ...spec.config, gracefulRestart: { restartTimeSec: 3, restarting: false } };
    const speaker = routers.startSpeaker({ ...spec, config });
    await speaker.holds(THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 3);
    await speaker.kill();
    await pause(1_500);
    assert.equal(routers.birdRoutes().size, 3);
    await until('bird dropped them', () => routers.birdRoutes().size === 0, 8_000);
  }),
);

test('without graceful restart a killed speaker is forgotten at once (the negative control)', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(setup);
    const spec = manxSetup(65002, { as: 65001, gracefulRestart: false }, { originated: OURS });
    const speaker = routers.startSpeaker(spec);
    await speaker.holds(THEIRS);
    await until('bird has ours', () => routers.birdRoutes().size === 3);
    await speaker.kill();
    await until('bird dropped them', () => routers.birdRoutes().size === 0, 2_000);
  }),
);

test('bird killed and restarted with -R: we keep its routes and drop only what it does not tell again', options, () =>
  withRouters(async (routers) => {
    const bird = await routers.startBird(setup);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    await speaker.holds(THEIRS);
    await killChild(bird);
    await until('our routes of bird are stale', async () => (await speaker.peer()).stale === 3);
    await routers.startBird({ ...setup, routes4: ['10.1.0.0/24'] }, ['-R']);
    await speaker.established();
    await speaker.holds(['10.1.0.0/24', '2001:db8:1::/48']);
    assert.deepEqual(speaker.lost, ['10.1.1.0/24'], 'only the one bird no longer has, and only at End-of-RIB');
    assert.equal((await speaker.peer()).stale, 0);
    await until('bird has ours again', () => routers.birdRoutes().size === 3);
  }),
);

test('bird killed for good: its routes go when its restart time is over', options, () =>
  withRouters(async (routers) => {
    const bird = await routers.startBird({ ...setup, options: 'graceful restart on; graceful restart time 3;' });
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    await speaker.holds(THEIRS);
    await killChild(bird);
    await pause(1_500);
    assert.equal((await speaker.peer()).stale, 3);
    await speaker.holds([]);
  }),
);

test('bird disabled by its operator: a Cease ends graceful restart, its routes go at once', options, () =>
  withRouters(async (routers) => {
    await routers.startBird(setup);
    const speaker = routers.startSpeaker(manxSetup(65002, { as: 65001 }, { originated: OURS }));
    await speaker.holds(THEIRS);
    routers.birdc('disable', 'manx');
    await until('gone', async () => Object.keys((await speaker.best()).routes).length === 0, 2_000);
  }),
);
