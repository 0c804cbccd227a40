import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FelixNode, until } from '../support/felix-node.ts';
import { needRoot } from '../support/need.ts';

/**
 *   pod a ── mxHASH ┐
 *                   node ── up0 ── rack
 *   pod b ── mxHASH ┘
 */
describe('pods on one node', needRoot('ip', 'nsenter', 'ping'), () => {
  let host: FelixNode;
  before(async () => {
    host = new FelixNode();
    await host.start();
    host.rack.sh('ip route add 10.64.0.0/26 via 172.18.0.2; ip -6 route add fd64::/122 via fd18::2');
  });
  after(() => host.remove());

  const ping = (address: string) => `ping -n -c1 -W2 ${address}`;

  test('two pods reach each other, their node and the rack over IPv4 and IPv6, and are reached from there', async () => {
    const a = host.pod('a', '10.64.0.5', 'fd64::5');
    const b = host.pod('b', '10.64.0.6', 'fd64::6');
    await Promise.all([host.plug(a), host.plug(b)]);
    for (const address of ['10.64.0.6', 'fd64::6', '172.18.0.2', 'fd18::2', '172.18.0.1', 'fd18::1']) {
      a.namespace.sh(ping(address));
    }
    for (const address of ['10.64.0.5', 'fd64::5']) {
      b.namespace.sh(ping(address));
      host.node.sh(ping(address));
      host.rack.sh(ping(address));
    }
    assert.deepEqual(await host.felix.call('check', a.workload), []);
  });

  test('no ARP and no neighbour discovery is needed on a pod link', async () => {
    const pod = host.pod('silent', '10.64.0.7', 'fd64::7');
    await host.plug(pod);
    // Counted on the node's side of the link: ARP of any kind, neighbour solicitations and advertisements.
    const chain = `add chain netdev count c { type filter hook ingress device ${pod.workload.hostInterface} priority 0; }`;
    const arp = 'add rule netdev count c ether type arp counter';
    const nd =
      'add rule netdev count c icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 daddr != ff02::/16 counter';
    host.node.sh(`nft 'add table netdev count; ${chain}; ${arp}; ${nd}'`);
    pod.namespace.sh(`${ping('172.18.0.1')} && ${ping('fd18::1')} && ${ping('172.18.0.2')} && ${ping('fd18::2')}`);
    host.node.sh(`${ping('10.64.0.7')} && ${ping('fd64::7')}`);
    const counted = host.node.sh('nft list table netdev count; nft delete table netdev count');
    assert.deepEqual(counted.match(/packets \d+/g), ['packets 0', 'packets 0']);
  });

  test('an unused address of the own block is answered by nobody, even with a default route that would lead back', async () => {
    const a = host.pod('lonely', '10.64.0.8');
    await host.plug(a);
    assert.notEqual(a.namespace.try('ping -n -c1 -W1 10.64.0.50').status, 0);
    assert.match(host.node.try('ip route get 10.64.0.50').stderr, /Invalid argument/);
  });

  test('a pod cannot send with an address that is not its own', async () => {
    const pod = host.pod('liar', '10.64.0.9');
    await host.plug(pod);
    pod.namespace.sh('ip addr add 10.64.0.60/32 dev eth0');
    host.rack.sh('ip addr add 192.0.2.1/32 dev lo');
    const before = dropped(host);
    assert.notEqual(pod.namespace.try('ping -n -c1 -W1 -I 10.64.0.60 172.18.0.1').status, 0);
    assert.ok(dropped(host) > before, 'reverse path filter counted it');
  });

  test('a repeated ADD changes nothing, and gives back what was lost', async () => {
    const pod = host.pod('again', '10.64.0.10', 'fd64::10');
    await host.plug(pod);
    const index = pod.namespace.sh('cat /sys/class/net/eth0/ifindex 2>/dev/null || ip -o link show eth0');
    await host.plug(pod);
    assert.equal(pod.namespace.sh('cat /sys/class/net/eth0/ifindex 2>/dev/null || ip -o link show eth0'), index);
    pod.namespace.sh('ip route del default; ip neigh flush nud permanent; ip addr del 10.64.0.10/32 dev eth0');
    pod.namespace.sh('ip addr add 10.64.0.61/32 dev eth0; ip link set eth0 down');
    const faults = (await host.felix.call('check', pod.workload)) as string[];
    assert.ok(faults.includes('pod interface eth0 is down'), String(faults));
    assert.ok(faults.includes('pod interface eth0 lacks address 10.64.0.10'), String(faults));
    await host.plug(pod);
    assert.deepEqual(await host.felix.call('check', pod.workload), []);
    pod.namespace.sh(ping('172.18.0.1'));
    assert.doesNotMatch(pod.namespace.sh('ip addr show eth0'), /10\.64\.0\.61/);
  });

  test('a half-wired pod, whatever step it was cut at, is completed by the next ADD or removed by DEL', async () => {
    const pod = host.pod('half', '10.64.0.11', 'fd64::11');
    const { hostInterface: name, netns } = pod.workload;
    const cuts = [
      `ip link add ${name} type veth peer name eth0 netns ${netns}`,
      `ip link add ${name} address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns ${netns}; ip link set ${name} up`,
      `ip link add ${name} type veth peer name wrong`,
      `ip link add ${name} type veth peer name eth0 netns ${netns}; nsenter --net=${netns} ip link set eth0 up`,
    ];
    for (const cut of cuts) {
      host.node.sh(cut);
      await host.plug(pod);
      assert.deepEqual(await host.felix.call('check', pod.workload), [], cut);
      pod.namespace.sh(ping('172.18.0.1'));
      await host.unplug(pod);
      host.node.sh(cut);
      await host.unplug(pod);
      assert.notEqual(host.node.try(`ip link show ${name}`).status, 0, cut);
    }
  });

  test('an agent killed at any moment of an ADD leaves what the next agent completes or removes', async (t) => {
    const seed = Date.now() % 100_000;
    t.diagnostic(`seed ${seed}`);
    const chance = mulberry(seed);
    const pod = host.pod('killed', '10.64.0.62', 'fd64::3e');
    for (let round = 0; round < 12; round += 1) {
      const plugging = host.plug(pod).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, chance() * 15));
      await host.felix.kill();
      await plugging;
      host.renew();
      await host.start();
      if (chance() < 0.5) {
        await host.plug(pod);
        assert.deepEqual(await host.felix.call('check', pod.workload), []);
        pod.namespace.sh(ping('172.18.0.1'));
      }
      await host.unplug(pod);
      assert.ok(!((await host.felix.call('interfaces')) as string[]).includes(pod.workload.hostInterface));
      assert.notEqual(pod.namespace.try('ip link show eth0').status, 0);
    }
  });

  test('DEL removes interface and routes, twice is as good as once, and never needs the namespace', async () => {
    const pod = host.pod('gone', '10.64.0.12', 'fd64::12');
    await host.plug(pod);
    pod.namespace.remove();
    await host.unplug(pod);
    await host.unplug(pod);
    await host.felix.call('settled');
    assert.notEqual(host.node.try(`ip link show ${pod.workload.hostInterface}`).status, 0);
    assert.ok(host.routes().every((route) => !/10\.64\.0\.12 |fd64::12 /.test(route)));
  });

  test('DEL forgets the connections of the pod’s addresses and no others', needRoot('conntrack', 'nft'), async () => {
    host.node.sh("nft 'add table inet track; add chain inet track c { type filter hook forward priority 0 ; }'");
    host.node.sh("nft 'add rule inet track c ct state new counter'");
    const gone = host.pod('tracked', '10.64.0.30', 'fd64::30');
    const stays = host.pod('stays', '10.64.0.31', 'fd64::31');
    await Promise.all([host.plug(gone), host.plug(stays)]);
    for (const pod of [gone, stays]) pod.namespace.sh(`${ping('172.18.0.1')}; ${ping('fd18::1')}`);
    const list = (): string => host.node.sh('conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null');
    assert.match(list(), /src=10\.64\.0\.30 .*src=fd64::30 /s);
    await host.unplug(gone);
    assert.doesNotMatch(list(), /10\.64\.0\.30 |fd64::30 /);
    assert.match(list(), /src=10\.64\.0\.31 .*src=fd64::31 /s);
    await host.unplug(stays);
    host.node.sh('nft delete table inet track');
  });

  test('DEL of an old sandbox leaves the new one of the same pod and address alone', async () => {
    const old = host.pod('old', '10.64.0.13', 'fd64::13');
    const fresh = host.pod('fresh', '10.64.0.13', 'fd64::13');
    await host.plug(old);
    await host.plug(fresh);
    await host.unplug(old);
    assert.deepEqual(await host.felix.call('check', fresh.workload), []);
    fresh.namespace.sh(`${ping('172.18.0.1')} && ${ping('fd18::1')}`);
    host.node.sh(ping('10.64.0.13'));
  });

  test('an interface in the pod that is not ours is an error that names it, and stays', async () => {
    const pod = host.pod('taken', '10.64.0.14');
    pod.namespace.sh('ip link add eth0 type veth peer name other');
    await assert.rejects(host.plug(pod), { code: 'INTERFACE_TAKEN', message: /already has an interface eth0/ });
    pod.namespace.sh('ip link show eth0');
    assert.notEqual(host.node.try(`ip link show ${pod.workload.hostInterface}`).status, 0);
  });

  test('a namespace that is not there is an error that names it', async () => {
    const pod = host.pod('absent', '10.64.0.15');
    pod.namespace.remove();
    await assert.rejects(host.plug(pod), { code: 'NETNS_MISSING', message: /mxt-.*-absent does not exist/ });
  });

  test('the MTU is the uplink’s unless the workload states one', async () => {
    host.node.sh('ip link set up0 mtu 1400');
    await host.felix.call('setNode', { addresses: ['172.18.0.2'] });
    await host.felix.call('setNode', { addresses: ['172.18.0.2', 'fd18::2'] });
    await host.felix.call('settled');
    const pod = host.pod('mtu', '10.64.0.16');
    await host.plug(pod);
    assert.match(pod.namespace.sh('ip link show eth0'), /mtu 1400/);
    const stated = host.pod('stated', '10.64.0.17');
    await host.felix.call('plug', { ...stated.workload, mtu: 1300 });
    assert.match(stated.namespace.sh('ip link show eth0'), /mtu 1300/);
  });

  const podDamages = {
    'its host end set down': 'ip link set DEV down',
    'its neighbours flushed and something else changed':
      'ip neigh flush dev DEV nud permanent; ip addr add 192.0.2.9/32 dev lo; ip addr del 192.0.2.9/32 dev lo',
    'its routes deleted': 'ip route del 10.64.0.19; ip -6 route del fd64::19',
  };
  for (const [name, damage] of Object.entries(podDamages)) {
    test(`a pod with ${name} is reachable again within a second`, async () => {
      const pod = host.pod('hurt', '10.64.0.19', 'fd64::19');
      await host.plug(pod);
      host.node.sh(damage.replaceAll('DEV', pod.workload.hostInterface));
      await until('whole', async () => ((await host.felix.call('check', pod.workload)) as string[]).length === 0, 1000);
      pod.namespace.sh(`${ping('172.18.0.1')} && ${ping('fd18::1')}`);
      await host.unplug(pod);
    });
  }

  test('garbage collection sees host ends nobody remembers, and can remove them', async () => {
    const pod = host.pod('garbage', '10.64.0.18');
    await host.plug(pod);
    const name = pod.workload.hostInterface;
    assert.ok(((await host.felix.call('interfaces')) as string[]).includes(name));
    await host.felix.call('removeInterface', name);
    assert.ok(!((await host.felix.call('interfaces')) as string[]).includes(name));
    await assert.rejects(host.felix.call('removeInterface', 'up0'), { code: 'INVALID' });
  });

  test('thirty pods at once are all wired', async () => {
    const pods = Array.from({ length: 30 }, (_, index) =>
      host.pod(`m${index}`, `10.64.0.${20 + index}`, `fd64::${20 + index}`),
    );
    await Promise.all(pods.map((pod) => host.plug(pod)));
    for (const pod of pods.slice(0, 3)) pod.namespace.sh(`${ping('10.64.0.40')} && ${ping('fd64::41')}`);
    await Promise.all(pods.map((pod) => host.unplug(pod)));
    const { drift, counters } = await host.status();
    assert.equal(drift['removed'], 0);
    assert.equal(counters['failures'], 0);
  });
});

/** A seeded random number generator. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function dropped(host: FelixNode): number {
  return Number(/IPReversePathFilter\s+(\d+)/.exec(host.node.sh('nstat -az TcpExtIPReversePathFilter'))?.[1] ?? 0);
}
