/**
 * The stories behind the matrix. Each starts one daemon and our speaker with a few wishes and ticks off features as it
 * goes; what throws fails the feature that was being tried and leaves those behind it untried.
 */
import assert from 'node:assert/strict';
import { asPath, attribute, KEEPALIVE, nextHop, OLD, ORIGIN, TESTED4, u32, update } from '../malformed/bytes.ts';
import { openFrom } from '../malformed/judge.ts';
import { type BestView, BIRD4, BIRD6, pause, type SpeakerProcess, until } from '../two-routers.ts';
import { type Lab, LOOPBACK6, MANX4, OURS, OURS4, RAW, THEIRS, THEIRS4, THEIRS6, type Wishes } from './lab.ts';

/** Not done, with the words of who does not do it. */
export class Unsupported extends Error {}

/** Runs one feature; what it returns is a remark for the table. */
export type Tick = (feature: string, check: () => Promise<string | undefined>) => Promise<void>;

export interface Story {
  readonly name: string;
  readonly wishes: Wishes;
  /** In the order they are tried. */
  readonly features: readonly string[];
  readonly run: (lab: Lab, tick: Tick) => Promise<void>;
}

/** What a daemon says it does not do, by feature; each is shown by the run to be so. */
export const REFUSALS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  GoBGP: {
    'ROUTE-REFRESH from the peer': 'no command of its own sends one: “softresetin” looks at its adj-in again',
    'IPv6 session: IPv4 routes too': 'sends them with an IPv6 next hop (RFC 8950) whether agreed or not',
  },
  OpenBGPD: {
    'ROUTE-REFRESH to the peer': 'announces the capability, counts the request and sends nothing',
    'IPv6 session: IPv4 routes too': 'gives them the next hop 127.0.0.1, whatever is configured',
    'Graceful restart: they are killed, we keep their routes':
      '“Currently only the End-of-RIB marker is supported”, bgpd.conf(5)',
  },
};

const all = <T>(items: readonly T[], has: (item: T) => boolean): boolean => items.every(has);

/** The daemon holds exactly our routes. */
async function theyHold(lab: Lab, prefixes: readonly string[], path: string): Promise<void> {
  let seen = '';
  await until(
    `${lab.name} holds ${prefixes.join(' ')}`,
    async () => {
      const routes = await lab.daemon.routes();
      seen = JSON.stringify([...routes]);
      return routes.size === prefixes.length && all(prefixes, (prefix) => routes.get(prefix)?.trim() === path);
    },
    15_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}; it has ${seen}`);
  });
}

async function bothHold(lab: Lab, speaker: SpeakerProcess, path: string): Promise<BestView> {
  const best = await speaker.holds([...(lab.wishes.routes4 ?? THEIRS4), ...THEIRS6]);
  await theyHold(lab, OURS, path);
  return best;
}

const plain: Story = {
  name: 'eBGP',
  wishes: { tagged: true },
  features: [
    'eBGP, IPv4 routes both ways',
    'IPv6 routes over an IPv4 session',
    'Capabilities in their OPEN that we do not know',
    'Communities, large and extended, from the peer',
    'Communities, large and extended, to the peer',
    'Unknown transitive attribute passes through',
    'Withdrawal, both ways',
    'ROUTE-REFRESH from the peer',
    'ROUTE-REFRESH to the peer',
    'Cease with a text, from the peer',
    'Cease with a text, to the peer',
  ],
  run: async (lab, tick) => {
    await lab.tap();
    await lab.daemon.start(lab.daemonSetup());
    const { spec, driver } = lab.rawPeer();
    const speaker = lab.startSpeaker({ extra: [spec] });
    await tick('eBGP, IPv4 routes both ways', async () => {
      await lab.established(speaker);
      const best = await speaker.holds(THEIRS);
      assert.deepEqual(best.routes[THEIRS4[0] ?? ''], [BIRD4]);
      await theyHold(lab, OURS, '65002');
      return undefined;
    });
    await tick('IPv6 routes over an IPv4 session', async () => {
      const best = await speaker.best();
      const [hop] = best.routes[THEIRS6[0] ?? ''] ?? [];
      assert.ok(hop === BIRD6 || hop === LOOPBACK6, `by way of ${hop}`);
      return undefined;
    });
    await tick('Capabilities in their OPEN that we do not know', () => unknownCapabilities(lab));
    await communities(lab, tick, speaker, driver);
    await tick('Withdrawal, both ways', async () => {
      await lab.daemon.withdraw('10.1.1.0/24');
      await speaker.holds(['10.1.0.0/24', ...THEIRS6, '203.0.113.0/24']);
      await speaker.originate(OURS4);
      await theyHoldPrefixes(lab, [...OURS4, '203.0.113.0/24']);
      return undefined;
    });
    await tick('ROUTE-REFRESH from the peer', () => refresh(lab));
    await tick('ROUTE-REFRESH to the peer', () => ask(lab, speaker));
    await tick('Cease with a text, from the peer', async () => {
      await lab.daemon.shutdown('rack 7 moves');
      const heard = await until('the text arrives', () => speaker.log.find((line) => line.includes('rack 7 moves')));
      await speaker.holds(['203.0.113.0/24']);
      await lab.daemon.enable();
      await lab.established(speaker);
      return /NOTIFICATION (\d\/\d+)/.exec(heard ?? '')?.[1];
    });
    await tick('Cease with a text, to the peer', () => ceaseToThem(lab, speaker));
    await driver.stop();
  },
};

async function theyHoldPrefixes(lab: Lab, prefixes: readonly string[]): Promise<void> {
  const wanted = prefixes.toSorted().join(' ');
  await until(
    `${lab.name} holds ${wanted}`,
    async () => [...(await lab.daemon.routes()).keys()].toSorted().join(' ') === wanted,
  );
}

async function unknownCapabilities(lab: Lab): Promise<string> {
  const known = new Set([1, 2, 6, 64, 65, 70]);
  const opens = await until<ReturnType<Lab['packets']>>('their OPEN is seen', async () => {
    const seen = lab.packets().filter(({ from, text }) => from === BIRD4 && text.includes('Open Message'));
    return seen.length > 0 && seen;
  });
  const names = opens.flatMap(({ text }) =>
    [...text.matchAll(/^\s+(\S[^()\n]*) \((\d+)\), length: \d+/gm)]
      .filter((match) => !known.has(Number(match[2])) && !/Option|Message/.test(match[1] ?? ''))
      .map((match) => Number(match[2])),
  );
  const codes = [...new Set(names)].sort((a, b) => a - b);
  return codes.length === 0 ? 'sends none' : `codes ${codes.join(', ')}`;
}

/** A third speaker made of bytes tells what passes through us, in both directions. */
async function communities(
  lab: Lab,
  tick: Tick,
  speaker: SpeakerProcess,
  driver: ReturnType<Lab['rawPeer']>['driver'],
): Promise<void> {
  const raw = await driver.connect(RAW, MANX4);
  raw.send(openFrom('ebgp', RAW));
  await until('the raw peer is heard', () => raw.has(4));
  raw.send(KEEPALIVE);
  await tick('Communities, large and extended, from the peer', async () => {
    const wanted = [
      `c00804${u32((65_001 << 16) | 100)}`,
      `c0200c${u32(65_001)}${u32(1)}${u32(2)}`,
      `c010080002fde9${u32(7)}`,
    ];
    await until('all three go on from us', () => all(wanted, (hex) => raw.received.includes(hex)));
    return undefined;
  });
  const tags =
    attribute(0xc0, 8, 'fdeb0007') +
    attribute(0xc0, 16, '0002fdeb00000009') +
    attribute(0xc0, 32, `${u32(65_003)}${u32(1)}${u32(2)}`);
  const hop = nextHop('ebgp').replace('0a63fffe', 'c0000209');
  const stranger = attribute(0xe0, 99, 'abcd');
  raw.send(update({ attributes: ORIGIN + asPath('ebgp', OLD) + hop + tags + stranger, nlri: TESTED4 }));
  await speaker.holds([...THEIRS, '203.0.113.0/24']);
  await tick('Communities, large and extended, to the peer', async () => {
    await until(`${lab.name} shows all three`, async () => {
      const text = await lab.daemon.describe('203.0.113.0/24');
      return text.includes('65003:7') && text.includes('65003:1:2') && text.includes('65003:9');
    });
    return undefined;
  });
  await tick('Unknown transitive attribute passes through', async () => {
    const sent = lab
      .packets()
      .some(({ from, text }) => from === MANX4 && /Unknown Attribute \(99\), length: 2, Flags \[OTP/.test(text));
    assert.ok(sent, 'our UPDATE carries it, with Partial');
    const text = await lab.daemon.describe('203.0.113.0/24');
    return /\b(63|99)\b/.test(text) ? 'shown by it' : 'route accepted; its CLI does not show it';
  });
}

async function refresh(lab: Lab): Promise<string | undefined> {
  const before = lab.packets().length;
  const refusal = await lab.daemon.refresh();
  const later = (): ReturnType<Lab['packets']> => lab.packets().slice(before);
  if (refusal !== undefined) {
    await pause(1000);
    assert.ok(!later().some(({ text }) => text.includes('Route Refresh')), 'it did send one');
    throw new Unsupported(REFUSALS[lab.name]?.['ROUTE-REFRESH from the peer'] ?? refusal);
  }
  await until('a request is seen', () =>
    later().some(({ from, text }) => from === BIRD4 && text.includes('Route Refresh')),
  );
  await until('our routes are told again', () =>
    later().some(({ from, text }) => from === MANX4 && text.includes('Update Message') && text.includes('10.2.0.0/26')),
  );
  return undefined;
}

/** A soft reset of ours: they tell all again, and nothing is lost meanwhile. */
async function ask(lab: Lab, speaker: SpeakerProcess): Promise<string | undefined> {
  const before = lab.packets().length;
  const lost = speaker.lost.length;
  const later = (): ReturnType<Lab['packets']> => lab.packets().slice(before);
  const answered = (): boolean =>
    later().some(({ from, text }) => from === BIRD4 && text.includes('Update Message') && text.includes('10.1.0.0/24'));
  await speaker.reset('peer', 'soft-in');
  await until('our request is seen', () =>
    later().some(({ from, text }) => from === MANX4 && text.includes('Route Refresh')),
  );
  const refusal = REFUSALS[lab.name]?.['ROUTE-REFRESH to the peer'];
  if (refusal !== undefined) {
    await pause(2000);
    assert.ok(!answered(), 'it did answer');
    throw new Unsupported(refusal);
  }
  try {
    await until('their routes are told again', answered, 5000);
  } catch {
    // A request that meets an UPDATE run of theirs can be merged into it, seen with FRR: a second one must be answered.
    await speaker.reset('peer', 'soft-in');
    await until('their routes are told again, asked twice', answered);
  }
  assert.equal(speaker.lost.length, lost, 'a route was lost meanwhile');
  return undefined;
}

async function ceaseToThem(lab: Lab, speaker: SpeakerProcess): Promise<string | undefined> {
  await speaker.holds(['10.1.0.0/24', ...THEIRS6, '203.0.113.0/24']);
  await speaker.stop('shutdown');
  await until(`${lab.name} lost our routes`, async () => (await lab.daemon.routes()).size === 0);
  const said = (await lab.daemon.session()) + lab.diary();
  assert.match(said, /cease|administrative/i);
  if (said.includes('shutting down')) return 'text shown by it';
  const sent = lab.packets().some(({ from, text }) => from === MANX4 && text.includes('shutting down'));
  assert.ok(sent, 'the text was sent');
  return 'understood; its CLI does not show the text';
}

const internal: Story = {
  name: 'iBGP',
  wishes: { theirAs: 64_512, ourAs: 64_512 },
  features: ['iBGP, routes both ways'],
  run: async (lab, tick) => {
    await tick('iBGP, routes both ways', async () => {
      const speaker = await lab.start();
      await bothHold(lab, speaker, '');
      const [route] = await speaker.routes();
      assert.equal(route?.paths[0]?.source, 'ibgp');
      return undefined;
    });
  },
};

const wideAs: Story = {
  name: 'four-octet AS',
  wishes: { theirAs: 4_200_000_001, ourAs: 4_200_000_002 },
  features: ['AS numbers above 65535 on both sides'],
  run: async (lab, tick) => {
    await tick('AS numbers above 65535 on both sides', async () => {
      const speaker = await lab.start();
      await speaker.holds(THEIRS);
      const [route] = await speaker.routes();
      assert.equal(route?.paths[0]?.asPath, '4200000001');
      await theyHold(lab, OURS, '4200000002');
      return undefined;
    });
  },
};

const over6: Story = {
  name: 'IPv6 session',
  wishes: { over6: true },
  features: ['IPv6 session: IPv6 routes', 'IPv6 session: IPv4 routes too'],
  run: async (lab, tick) => {
    const refusal = REFUSALS[lab.name]?.['IPv6 session: IPv4 routes too'];
    const families = refusal === undefined ? [4, 6] : [6];
    await lab.daemon.start(lab.daemonSetup());
    const speaker = lab.startSpeaker();
    await speaker.setPeers(lab.ourPeers().map((peer) => ({ ...peer, families: families as (4 | 6)[] })));
    await tick('IPv6 session: IPv6 routes', async () => {
      await lab.established(speaker);
      await until('IPv6 routes both ways', async () => {
        const { routes } = await speaker.best();
        return (
          all(THEIRS6, (prefix) => routes[prefix]?.[0] === BIRD6) && (await lab.daemon.routes()).has('2001:db8:2::/64')
        );
      });
      return undefined;
    });
    await tick('IPv6 session: IPv4 routes too', async () => {
      if (refusal !== undefined) throw new Unsupported(refusal);
      const best = await bothHold(lab, speaker, '65002');
      assert.deepEqual(best.routes['10.1.0.0/24'], [BIRD4]);
      return undefined;
    });
  },
};

const restartOurs: Story = {
  name: 'graceful restart, ours',
  wishes: { gracefulRestart: true },
  features: ['End-of-RIB, both ways', 'Graceful restart: we are killed, they keep our routes'],
  run: async (lab, tick) => {
    await lab.tap();
    const first = await lab.start();
    await bothHold(lab, first, '65002');
    await tick('End-of-RIB, both ways', async () => {
      const markers = (from: string): number =>
        lab
          .packets()
          .filter((packet) => packet.from === from)
          .reduce((sum, { text }) => sum + [...text.matchAll(/End-of-Rib Marker/gi)].length, 0);
      await until('two from us', () => markers(MANX4) >= 2);
      await until('two from them', () => markers(BIRD4) >= 2);
      assert.ok((await first.best()).inSync);
      return undefined;
    });
    await tick('Graceful restart: we are killed, they keep our routes', async () => {
      const watch = neverAbsent(() => lab.daemon.routes(), OURS);
      await first.kill();
      await until(`${lab.name} helps`, () => lab.daemon.helping(), 5000);
      const second = lab.startSpeaker({ restarting: true });
      await lab.established(second);
      await second.holds(THEIRS);
      await until('nothing stale is left', async () => !(await lab.daemon.helping()));
      return `never absent in ${await watch()} looks`;
    });
  },
};

/** Looks as often as it can; the function it returns ends the watch and says how often nothing was missing. */
function neverAbsent(
  look: () => Promise<ReadonlyMap<string, string>>,
  wanted: readonly string[],
): () => Promise<number> {
  const missing = new Set<string>();
  let looks = 0;
  const ending = new AbortController();
  const watch = (async (): Promise<void> => {
    while (!ending.signal.aborted) {
      const routes = await look();
      looks += 1;
      for (const prefix of wanted) if (!routes.has(prefix)) missing.add(prefix);
      await pause(20);
    }
  })();
  return async () => {
    ending.abort();
    await watch;
    assert.deepEqual([...missing], [], 'routes that were absent in between');
    return looks;
  };
}

const restartTheirs: Story = {
  name: 'graceful restart, theirs',
  wishes: { gracefulRestart: true },
  features: ['Graceful restart: they are killed, we keep their routes'],
  run: async (lab, tick) => {
    const speaker = await lab.start();
    await bothHold(lab, speaker, '65002');
    await tick('Graceful restart: they are killed, we keep their routes', async () => {
      await lab.daemon.kill();
      const refusal = REFUSALS[lab.name]?.['Graceful restart: they are killed, we keep their routes'];
      if (refusal) {
        await speaker.holds([]);
        throw new Unsupported(refusal);
      }
      await until('we keep them as stale', async () => (await speaker.peer()).stale >= THEIRS.length, 5000);
      // GoBGP gets its routes by API calls and would say End-of-RIB before the last one: nobody meets until they are in.
      lab.here.sh(`ip route add prohibit ${BIRD4}/32`);
      await lab.daemon.start(lab.daemonSetup(), true);
      lab.here.sh(`ip route del prohibit ${BIRD4}/32`);
      await lab.established(speaker);
      await until('nothing stale is left', async () => (await speaker.peer()).stale === 0);
      await speaker.holds(THEIRS);
      assert.deepEqual(speaker.lost, []);
      await theyHold(lab, OURS, '65002');
      return undefined;
    });
  },
};

const frozen: Story = {
  name: 'hold time',
  wishes: { holdTimeSec: 3 },
  features: ['Hold time: they freeze, we let go', 'Hold time: we freeze, they let go'],
  run: async (lab, tick) => {
    const speaker = await lab.start();
    await bothHold(lab, speaker, '65002');
    await tick('Hold time: they freeze, we let go', async () => {
      const begin = performance.now();
      lab.daemon.signal('SIGSTOP');
      await speaker.holds([]);
      const tookSec = (performance.now() - begin) / 1000;
      lab.daemon.signal('SIGCONT');
      assert.ok(
        speaker.log.some((line) => line.includes('hold timer expired')),
        'for this reason',
      );
      assert.ok(tookSec > 1 && tookSec < 6, `after ${tookSec.toFixed(1)} s`);
      await lab.established(speaker);
      await bothHold(lab, speaker, '65002');
      return `after ${tookSec.toFixed(1)} s`;
    });
    await tick('Hold time: we freeze, they let go', async () => {
      const begin = performance.now();
      speaker.child.kill('SIGSTOP');
      await until(`${lab.name} lets go`, async () => (await lab.daemon.routes()).size === 0, 12_000);
      const tookSec = (performance.now() - begin) / 1000;
      speaker.child.kill('SIGCONT');
      await lab.established(speaker);
      await bothHold(lab, speaker, '65002');
      return `after ${tookSec.toFixed(1)} s`;
    });
  },
};

const weListen: Story = {
  name: 'we are passive',
  wishes: { peer: { passive: true } },
  features: ['We are passive, they dial'],
  run: async (lab, tick) => {
    await tick('We are passive, they dial', async () => {
      const speaker = lab.startSpeaker();
      await speaker.listening; // a daemon that was refused once takes its time to dial again
      await lab.daemon.start(lab.daemonSetup());
      await lab.established(speaker);
      await bothHold(lab, speaker, '65002');
      return undefined;
    });
  },
};

const theyListen: Story = {
  name: 'they are passive',
  wishes: { theyArePassive: true },
  features: ['They are passive, we dial'],
  run: async (lab, tick) => {
    await tick('They are passive, we dial', async () => {
      await bothHold(lab, await lab.start(), '65002');
      return undefined;
    });
  },
};

const collision: Story = {
  name: 'both dial',
  wishes: {},
  features: ['Both dial at once, again and again'],
  run: async (lab, tick) => {
    const speaker = await lab.start();
    await bothHold(lab, speaker, '65002');
    await tick('Both dial at once, again and again', async () => {
      for (let round = 0; round < 3; round++) {
        await speaker.setPeers([]);
        await until('it saw us go', async () => !(await lab.daemon.established()));
        await lab.daemon.enable();
        await speaker.setPeers(lab.ourPeers());
        await lab.established(speaker);
        await bothHold(lab, speaker, '65002');
      }
      await pause(500);
      const { state, flaps } = await speaker.peer();
      assert.deepEqual([state, flaps], ['established', 0]);
      return '3 rounds, one session each';
    });
  },
};

export const STORIES: readonly Story[] = [
  plain,
  internal,
  wideAs,
  over6,
  restartOurs,
  restartTheirs,
  frozen,
  weListen,
  theyListen,
  collision,
];
