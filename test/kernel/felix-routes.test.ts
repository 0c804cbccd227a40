import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { FelixNode, learned, NODE, until } from '../support/felix-node.ts';
import { needRoot } from '../support/need.ts';

const M = 'metric 8400';
const SRC4 = 'src 172.18.0.2';
const SRC6 = 'src fd18::2';

const ROUTES = {
  '10.64.1.0/26': ['172.18.0.3'],
  'fd64::40/122': ['fd18::3'],
  '10.65.0.0/16': ['203.0.113.9'],
  'fd65::/64': ['2001:db8::9'],
  '10.66.0.0/16': ['172.18.0.5', '172.18.0.6'],
  'fd66::/64': ['fd18::5', 'fd18::6'],
};

/** A route of the operator's for a prefix we learn as well. */
const STATIC = 'ip route replace 10.64.1.0/26 via 172.18.0.77 proto static metric 9000';

const EXPECTED = [
  `10.64.1.0/26 via 172.18.0.3 dev up0 ${SRC4} ${M}`,
  `10.65.0.0/16 via 172.18.0.1 dev up0 ${SRC4} ${M}`,
  `10.66.0.0/16 ${SRC4} ${M} nexthop via 172.18.0.5 dev up0 weight 1 nexthop via 172.18.0.6 dev up0 weight 1`,
  `blackhole 10.64.0.0/26 ${M}`,
  `blackhole fd64::/122 dev lo ${M} pref medium`,
  `fd64::40/122 via fd18::3 dev up0 ${SRC6} ${M} pref medium`,
  `fd65::/64 via fd18::1 dev up0 ${SRC6} ${M} pref medium`,
  `fd66::/64 ${SRC6} ${M} pref medium nexthop via fd18::5 dev up0 weight 1 nexthop via fd18::6 dev up0 weight 1`,
];

/** A shell command that prints the id of a nexthop object of ours. */
const idOf = (pattern: string): string => `ip nexthop | grep 'proto 84' | grep '${pattern}' | head -1 | cut -d' ' -f2`;

describe('routes of a node', needRoot('ip', 'nsenter', 'nft'), () => {
  let host: FelixNode;
  let nexthops = '';
  before(async () => {
    host = new FelixNode();
    host.node.sh('ip nexthop add id 9 via 172.18.0.9 dev up0');
    host.node.sh(`${STATIC}; ip route add 10.71.0.0/16 via 172.18.0.77 proto static`);
    await host.start({ learned: ROUTES });
  });
  after(() => host.remove());

  test('blocks are blackholes; next hops resolve directly, by the default route, and as several', () => {
    assert.deepEqual(host.routes(), EXPECTED);
  });

  test('every learned route points at a group, and one member serves all the groups it is in', () => {
    nexthops = host.node.sh('ip nexthop');
    const learnt = host.node.routes('proto 84').filter((route) => !route.startsWith('blackhole'));
    assert.equal(learnt.filter((route) => / nhid \d+ /.test(route)).length, 6);
    const ours = nexthops.split('\n').filter((line) => line.includes('proto 84'));
    assert.equal(ours.filter((line) => line.includes(' group ')).length, 6);
    assert.equal(ours.length, 6 + 8);
  });

  test('own blocks are programmed and say so', async () => {
    assert.deepEqual(await host.felix.call('programmedBlocks'), ['10.64.0.0/26', 'fd64::/122']);
    assert.deepEqual(((await host.felix.call('programmedEvents')) as unknown[]).at(-1), ['10.64.0.0/26', 'fd64::/122']);
  });

  const damages: readonly (readonly [string, string])[] = [
    ['a blackhole deleted', 'ip route del blackhole 10.64.0.0/26'],
    ['an IPv6 blackhole deleted', 'ip -6 route del blackhole fd64::/122'],
    ['a learned route deleted', 'ip route del 10.64.1.0/26 proto 84'],
    ['an IPv6 learned route deleted', 'ip -6 route del fd64::40/122'],
    ['a route modified in place', `ip route change 10.65.0.0/16 via 172.18.0.66 proto 84 ${M}`],
    ['an IPv6 route modified in place', `ip -6 route replace fd65::/64 via fd18::66 proto 84 ${M}`],
    ['a multipath route that lost a path', `ip route change 10.66.0.0/16 via 172.18.0.5 proto 84 ${M}`],
    ['an IPv6 multipath route that lost a path', 'ip -6 route del fd66::/64 via fd18::6'],
    ['a route made a blackhole', `ip route change blackhole 10.64.1.0/26 proto 84 ${M}`],
    ['a route of our protocol that nobody asked for', `ip route add 10.99.0.0/16 via 172.18.0.3 proto 84 ${M}`],
    [
      'all our routes flushed',
      'ip nexthop flush proto 84; ip route flush proto 84 type blackhole; ip -6 route flush proto 84; true',
    ],
    ['a nexthop object deleted', `ip nexthop del id $(${idOf('via 172.18.0.3')})`],
    ['a nexthop object changed', `ip nexthop replace id $(${idOf('via fd18::3')}) via fd18::77 dev up0 proto 84`],
    [
      'a group with other members',
      `ip nexthop replace id $(${idOf('group [0-9]*/')}) group $(${idOf('via 172.18.0.3')})`,
    ],
    ['a nexthop object of our protocol that nobody asked for', 'ip nexthop add id 77 via 172.18.0.9 dev up0 proto 84'],
    [
      'the uplink down and up again',
      `ip link set up0 down; ip link set up0 up; ip addr add fd18::2/64 dev up0 nodad;
       ip route add default via 172.18.0.1; ip -6 route add default via fd18::1; ${STATIC};
       ip nexthop add id 9 via 172.18.0.9 dev up0`,
    ],
  ];
  for (const [name, damage] of damages) {
    test(`${name} is put right within a second, by events alone`, async () => {
      host.node.sh(damage);
      const isRight = () => host.routes().join() === EXPECTED.join() && host.node.sh('ip nexthop') === nexthops;
      await until(name, isRight, 1000);
      const { lastRepair } = await host.status();
      assert.ok(lastRepair !== undefined && lastRepair.tookMs < 1000, JSON.stringify(lastRepair));
    });
  }

  test('foreign routes of equal prefix, with our metric or another, are untouched', async () => {
    assert.ok(host.node.routes('proto static').includes('10.64.1.0/26 via 172.18.0.77 dev up0 metric 9000'));
    host.node.sh(`ip route add 10.70.0.0/16 via 172.18.0.77 proto static ${M}`);
    const changes = (nextHops: string[]) => ({ changes: [{ prefix: '10.70.0.0/16', nextHops }], inSync: true });
    await host.felix.call('applyLearned', changes(['172.18.0.3']));
    await until('conflict reported', async () => (await host.status()).conflicts.length === 1);
    const foreign = `10.70.0.0/16 via 172.18.0.77 dev up0 ${M}`;
    assert.match(
      host.node.sh('ip route show 10.70.0.0/16'),
      /^10\.70\.0\.0\/16 via 172\.18\.0\.77 dev up0 proto static metric 8400 \n$/,
    );
    await host.felix.call('applyLearned', changes([]));
    await host.felix.call('settled');
    assert.ok(host.node.routes('proto static').includes(foreign));
    await host.felix.call('applyLearned', changes(['172.18.0.3']));
    host.node.sh(`ip route del 10.70.0.0/16 via 172.18.0.77 proto static ${M}`);
    await until('ours takes the free place', () =>
      host.routes().some((route) => route.startsWith('10.70.0.0/16 via 172.18.0.3')),
    );
    await host.felix.call('applyLearned', changes([]));
    await until('and goes', () => host.routes().join() === EXPECTED.join());
  });

  test('when the default route moves, routes that resolve through it follow', async () => {
    host.node.sh('ip route replace default via 172.18.0.9');
    await until('moved', () => host.routes().includes(`10.65.0.0/16 via 172.18.0.9 dev up0 ${SRC4} ${M}`));
    host.node.sh('ip route replace default via 172.18.0.1');
    await until('moved back', () => host.routes().join() === EXPECTED.join());
  });

  test('a next hop nobody can reach is reported with the reason, not installed', async () => {
    host.node.sh('ip route del default');
    await until('gone', () => !host.routes().some((route) => route.startsWith('10.65.0.0/16')));
    const { unresolved } = await host.status();
    assert.deepEqual(unresolved, [{ prefix: '10.65.0.0/16', reason: 'no route to next hop 203.0.113.9' }]);
    host.node.sh('ip route add default via 172.18.0.1');
    await until('back', () => host.routes().join() === EXPECTED.join());
  });

  test('with nothing to do nothing is written, by our own count and by the kernel’s', async () => {
    const { counters } = await host.status();
    const monitor = spawn('nsenter', [`--net=${host.node.path}`, 'ip', 'monitor', 'route'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let events = '';
    monitor.stdout.on('data', (chunk) => (events += String(chunk)));
    await until('monitor listens', () => monitor.pid !== undefined);
    await host.felix.call('setLearned', learned(ROUTES), true);
    await host.felix.call('setBlocks', ['10.64.0.0/26', 'fd64::/122'], true);
    host.node.sh('ip addr add 192.0.2.99/32 dev lo; ip addr del 192.0.2.99/32 dev lo');
    await until(
      'an address event led to a read-back',
      async () => ((await host.status()).counters['readBacks'] ?? 0) > (counters['readBacks'] ?? 0),
    );
    await host.felix.call('settled');
    monitor.kill();
    assert.equal((await host.status()).counters['commands'], counters['commands']);
    assert.doesNotMatch(events, /proto 84/);
  });
});

describe('a node whose helper processes die', needRoot('ip', 'nsenter'), () => {
  let host: FelixNode;
  before(async () => {
    host = new FelixNode();
    await host.start({ learned: ROUTES });
  });
  after(() => host.remove());

  /** Kills the children of this Felix whose command line holds `pattern`; only processes of its namespace are looked at. */
  function kill(pattern: string): void {
    const own = '[ "$(readlink $p/ns/net)" = "$(readlink /proc/self/ns/net)" ]';
    const matching = `tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '${pattern}'`;
    const one = `${matching} && ${own} && kill -9 $(basename $p) && echo killed`;
    const killed = host.node.sh(`for p in /proc/[0-9]*; do ${one}; done 2>/dev/null; true`);
    assert.match(killed, /killed/);
  }

  // Where netlink writes the routes, the batch child sleeps, and its death shows when it is needed.
  const batch = process.env['FELIX_TEST_BACKEND'] === 'netlink' ? [] : ['^ip -force -batch'];
  for (const child of [...batch, '^ip .* monitor', '^sh $']) {
    test(`with ${child} killed, changes and repairs go on`, async () => {
      kill(child);
      await host.felix.call('applyLearned', {
        changes: [{ prefix: '10.77.0.0/16', nextHops: ['172.18.0.3'] }],
        inSync: true,
      });
      await until('added', () => host.routes().some((route) => route.startsWith('10.77.0.0/16')), 3000);
      await until('respawned', async () => ((await host.status()).counters['respawns'] ?? 0) > 0, 3000);
      host.node.sh('ip route del blackhole 10.64.0.0/26');
      await until('repaired', () => host.routes().includes(`blackhole 10.64.0.0/26 ${M}`), 3000);
      await host.felix.call('applyLearned', { changes: [{ prefix: '10.77.0.0/16', nextHops: [] }], inSync: true });
      await until('removed', () => host.routes().join() === EXPECTED.join(), 3000);
    });
  }
});

describe('a node whose Felix comes and goes', needRoot('ip', 'nsenter', 'ping'), () => {
  let host: FelixNode;
  before(async () => {
    host = new FelixNode();
    await host.start({ learned: ROUTES });
  });
  after(() => host.remove());

  test('killed and started again under a ping it deletes nothing, writes nothing and loses nothing', async () => {
    const pod = host.pod('a', '10.64.0.5', 'fd64::5');
    host.rack.sh('ip route add 10.64.0.0/26 via 172.18.0.2');
    await host.plug(pod);
    const before = host.routes();
    const monitor = spawn('nsenter', [`--net=${host.node.path}`, 'ip', 'monitor', 'route', 'link'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let events = '';
    monitor.stdout.on('data', (chunk) => (events += String(chunk)));
    const ping = spawn('nsenter', [
      `--net=${host.rack.path}`,
      'ping',
      '-n',
      '-q',
      '-i',
      '0.005',
      '-c',
      '400',
      '10.64.0.5',
    ]);
    let report = '';
    ping.stdout.on('data', (chunk) => (report += String(chunk)));
    const done = new Promise((resolve) => ping.on('exit', resolve));
    for (let round = 0; round < 2; round += 1) {
      await host.felix.kill();
      host.renew();
      await host.felix.call('start');
      assert.equal(await host.felix.call('hasOwnState'), true);
      // Inputs come one by one, late and incomplete, as they do after a start.
      await host.felix.call('setNode', { addresses: NODE });
      await host.felix.call('setBlocks', [], false);
      await host.felix.call('setLearned', [], false);
      await host.felix.call('settled');
      await host.felix.call('setWorkloads', [pod.workload], true);
      await host.felix.call('setBlocks', ['10.64.0.0/26', 'fd64::/122'], true);
      await host.felix.call('setLearned', learned(ROUTES), true);
      await host.felix.call('setPools', [], true);
      await host.felix.call('settled');
      assert.equal((await host.status()).counters['commands'], 0);
    }
    await done;
    monitor.kill();
    assert.match(report, /400 packets transmitted, 400 received, 0% packet loss/);
    assert.deepEqual(host.routes(), before);
    assert.doesNotMatch(events, /proto 84|mx[0-9a-f]{11}/);
  });

  test('stopping changes nothing, and what was learned meanwhile counts on return', async () => {
    const before = host.routes();
    await host.felix.stop();
    assert.deepEqual(host.routes(), before);
    host.renew();
    await host.start({ learned: { '10.64.1.0/26': ['172.18.0.3'] } });
    assert.deepEqual(
      host.routes().filter((route) => / via | nexthop /.test(route)),
      [EXPECTED[0]],
    );
  });

  test('children end with a killed agent', async () => {
    const { pid } = host.felix;
    await host.felix.kill();
    const alive = () =>
      host.node
        .try(
          `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^ip .*\\(monitor\\|batch\\)' && [ "$(readlink $p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo $p; done; true`,
        )
        .stdout.trim();
    assert.ok(pid !== undefined);
    await until('no child of it is left in the namespace', () => alive() === '');
  });
});

describe('source NAT of a node', needRoot('ip', 'nsenter', 'nft', 'ping'), () => {
  let host: FelixNode;
  before(async () => {
    host = new FelixNode({ resyncMs: 1000 });
    await host.start();
  });
  after(() => host.remove());

  test('a pod of a NAT pool leaves with the node’s address towards the world, with its own towards other pools', async () => {
    const pod = host.pod('a', '10.64.0.5', 'fd64::5');
    await host.plug(pod);
    const pools = [
      { cidr: '10.64.0.0/16', natOutgoing: true },
      { cidr: 'fd64::/64', natOutgoing: true },
      { cidr: '10.80.0.0/16', natOutgoing: false },
    ];
    await host.felix.call('setPools', pools, true);
    await host.felix.call('settled');
    host.rack.sh(
      'ip addr add 10.80.0.1/32 dev lo; ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo',
    );
    // The rack has no route to the pods: only a masqueraded packet is answered.
    pod.namespace.sh('ping -n -c1 -W2 192.0.2.1 && ping -n -c1 -W2 2001:db8::1');
    assert.notEqual(pod.namespace.try('ping -n -c1 -W1 10.80.0.1').status, 0);
    host.rack.sh('ip route add 10.64.0.0/26 via 172.18.0.2');
    pod.namespace.sh('ping -n -c1 -W2 10.80.0.1');
  });

  for (const damage of [
    'nft flush chain inet manx postrouting',
    'nft delete table inet manx',
    'nft flush ruleset',
    'echo 0 > /proc/sys/net/ipv4/ip_forward',
  ]) {
    test(`after "${damage}" the audit puts it back, other tables untouched`, async () => {
      const wanted = host.node.sh('nft -s list table inet manx');
      host.node.sh('nft add table inet other');
      host.node.sh(damage);
      const others = host.node.sh('nft list tables | grep -v manx || true');
      await until(
        'repaired',
        () =>
          host.node.try('nft -s list table inet manx').stdout === wanted &&
          host.node.sh('cat /proc/sys/net/ipv4/ip_forward').trim() === '1',
        4000,
      );
      assert.equal(host.node.sh('nft list tables | grep -v manx || true'), others);
    });
  }

  test('without NAT pools our table goes', async () => {
    await host.felix.call('setPools', [{ cidr: '10.64.0.0/16', natOutgoing: false }], true);
    await until('gone', () => host.node.try('nft list table inet manx').status !== 0);
    await host.felix.call('setPools', [], false);
  });
});
