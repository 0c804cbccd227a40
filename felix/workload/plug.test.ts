import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import { FelixError } from '../errors.ts';
import type { Workload } from '../inputs.ts';
import { hostInterfaceName, linkLocalOf, podMac } from './name.ts';
import {
  checkWorkload,
  isOurInterface,
  planHostAddresses,
  planPair,
  planPlug,
  planPodEnd,
  type Start,
  type Step,
} from './plug.ts';
import { refusal, scriptFor } from './script.ts';

function pod(addresses: readonly string[], over: Partial<Workload> = {}): Workload {
  const base = { containerId: 'c1', ifname: 'eth0', netns: '/run/netns/p', hostInterface: 'mx0123456789a' };
  return { ...base, addresses: addresses.map(parseIp), ...over };
}

const MAC = podMac('mx0123456789a');

function said(steps: readonly Step[]): readonly string[] {
  return steps.map((step) => `${step.side}: ${step.kind === 'ip' ? step.line : `${step.path} = ${step.value}`}`);
}

test('a dual-stack pod is wired in this order: pair, host side, pod side', () => {
  assert.deepEqual(said(planPlug(pod(['10.64.0.5', 'fd64::5']), 1450, { from: 'nothing' })), [
    `host: link add mx0123456789a address ee:ee:ee:ee:ee:ee mtu 1450 type veth peer name eth0 address ${MAC} mtu 1450 netns /run/netns/p`,
    'host: link set dev mx0123456789a addrgenmode none',
    'host: link set dev mx0123456789a up',
    'host: addr replace fe80::ecee:eeff:feee:eeee/128 dev mx0123456789a nodad',
    `host: neigh replace 10.64.0.5 lladdr ${MAC} dev mx0123456789a nud permanent`,
    `host: neigh replace fd64::5 lladdr ${MAC} dev mx0123456789a nud permanent`,
    'host: net/ipv4/conf/mx0123456789a/rp_filter = 1',
    'host: net/ipv6/conf/mx0123456789a/accept_ra = 0',
    'pod: net/ipv6/conf/eth0/disable_ipv6 = 0',
    'pod: link set dev lo up',
    'pod: link set dev eth0 addrgenmode none',
    'pod: link set dev eth0 up',
    `pod: addr replace ${linkLocalOf(MAC)}/64 dev eth0 nodad`,
    'pod: addr replace 10.64.0.5/32 dev eth0',
    'pod: addr replace fd64::5/128 dev eth0 nodad',
    'pod: neigh replace 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent',
    'pod: route replace 169.254.1.1/32 dev eth0 scope link',
    'pod: route replace default via 169.254.1.1 dev eth0',
    'pod: neigh replace fe80::ecee:eeff:feee:eeee lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent',
    'pod: route replace default via fe80::ecee:eeff:feee:eeee dev eth0',
  ]);
});

const families: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an IPv4 pod', ['10.64.0.5'], /fe80|disable_ipv6/],
  ['an IPv6 pod', ['fd64::5'], /169\.254/],
];
for (const [name, addresses, never] of families) {
  test(`${name} has nothing of the other family`, () => {
    assert.doesNotMatch(said(planPlug(pod(addresses), 1500, { from: 'nothing' })).join('\n'), never);
  });
}

test('a pair that is there is never made again, and loses addresses it should not have', () => {
  const start: Start = {
    from: 'pair',
    macs: { host: 'ee:ee:ee:ee:ee:ee', pod: '0e:00:00:00:00:01' },
    podAddresses: [
      { ip: parseIp('10.64.0.9'), length: 32 },
      { ip: parseIp('10.64.0.5'), length: 32 },
    ],
  };
  const lines = said(planPlug(pod(['10.64.0.5']), 1400, start));
  assert.ok(lines.every((line) => !/link (add|del)/.test(line)));
  assert.ok(lines.includes(`pod: link set dev eth0 address ${MAC}`));
  assert.ok(
    !lines.some((line) => line.startsWith('host: link set dev mx0123456789a address')),
    'the right MAC is left',
  );
  assert.ok(lines.includes('pod: addr del 10.64.0.9/32 dev eth0'));
  assert.ok(lines.includes('host: link set dev mx0123456789a mtu 1400'));
});

test('a stale host end is deleted before the pair is made', () => {
  const [first, second] = said(planPlug(pod(['10.64.0.5']), 1500, { from: 'stale' }));
  assert.equal(first, 'host: link del dev mx0123456789a');
  assert.match(second ?? '', /^host: link add /);
});

test('every step but the making of the pair is harmless when done before', () => {
  const steps = planPlug(pod(['10.64.0.5', 'fd64::5']), 1500, { from: 'nothing' }).slice(1);
  for (const step of steps) assert.ok(step.kind === 'sysctl' || /^(link set|\w+ replace) /.test(step.line), step.name);
});

const wrong: readonly (readonly [string, Workload, RegExp])[] = [
  ['an interface name with a slash', pod(['10.0.0.1'], { ifname: 'a/b' }), /ifname "a\/b": expected an interface name/],
  ['an interface name of 16 letters', pod(['10.0.0.1'], { ifname: 'a'.repeat(16) }), /ifname/],
  ['a host interface that is not ours', pod(['10.0.0.1'], { hostInterface: 'eth0' }), /expected mx and 11 hexadecimal/],
  [
    'a namespace path with a quote',
    pod(['10.0.0.1'], { netns: "/run/'; reboot" }),
    /netns .*: expected an absolute path/,
  ],
  ['a relative namespace path', pod(['10.0.0.1'], { netns: 'run/x' }), /netns/],
  ['no address', pod([]), /addresses/],
  ['an MTU below 576', pod(['10.0.0.1'], { mtu: 100 }), /mtu "100"/],
];
for (const [name, workload, message] of wrong) {
  test(`${name} is refused before anything is done`, () => {
    assert.throws(
      () => checkWorkload(workload, 'mx'),
      (error: unknown) => error instanceof FelixError && error.code === 'INVALID' && message.test(error.message),
    );
  });
}

test('a host interface name is 13 letters, fixed by the sandbox and the interface, and new for a new sandbox', () => {
  const name = hostInterfaceName('c1', 'eth0', 'mx');
  assert.match(name, /^mx[0-9a-f]{11}$/);
  assert.ok(isOurInterface(name, 'mx'));
  assert.equal(name, hostInterfaceName('c1', 'eth0'));
  const others = [hostInterfaceName('c2', 'eth0'), hostInterfaceName('c1', 'eth1'), hostInterfaceName('c1e', 'th0')];
  assert.equal(new Set([name, ...others]).size, 4);
});

test("a pod's MAC is a unicast, locally administered one", () => {
  assert.match(MAC, /^0e(:[0-9a-f]{2}){5}$/);
  assert.notEqual(MAC, podMac('mx0123456789b'));
});

test('a script enters the pod once, and what failed is named by step with the reason given', () => {
  const steps = planPlug(pod(['10.64.0.5', 'fd64::5']), 1500, { from: 'nothing' });
  const { text, parts } = scriptFor(steps, '/run/netns/p');
  assert.equal(text.match(/nsenter/g)?.length, 1);
  assert.equal(text.match(/ip -batch/g)?.length, 2);
  assert.deepEqual(
    parts.map((part) => part.length),
    [6, 2, 1, 11],
  );
  const podFailure = 'RTNETLINK answers: Permission denied\nCommand failed -:6\nrefused 3\n';
  assert.deepEqual(refusal(podFailure, parts), {
    step: 'address fd64::5',
    reason: 'RTNETLINK answers: Permission denied',
  });
  assert.deepEqual(
    refusal('sh: 1: cannot create /proc/sys/x: Read-only file system\nrefused 1\n', parts).step,
    `sysctl net/ipv4/conf/mx0123456789a/rp_filter`,
  );
  assert.equal(
    refusal('nsenter: cannot open /run/netns/p: No such file or directory\n', parts).step,
    'entering the pod',
  );
});

test('a link-local address is the modified EUI-64 of its MAC', () => {
  assert.equal(linkLocalOf('0e:12:34:56:78:9a'), 'fe80::c12:34ff:fe56:789a');
  assert.equal(linkLocalOf('02:00:00:00:00:01'), 'fe80::ff:fe00:1');
});

test('what a prepared pair lacks is done with one process in the pod and no sysctl, and together it is the whole plan', () => {
  const workload = pod(['10.64.0.5', 'fd64::5']);
  const rest = planPodEnd(workload, { from: 'nothing' });
  const { text } = scriptFor(rest, workload.netns, true);
  assert.match(text, /ip -n 'p' -batch -/);
  assert.match(scriptFor(rest, '/proc/7/ns/net', true).text, /nsenter --net='\/proc\/7\/ns\/net' ip -batch -/);
  assert.match(scriptFor(rest, workload.netns).text, /nsenter --net='\/run\/netns\/p' ip -batch -/);
  assert.doesNotMatch(text, /sh -c/);
  const both = [
    ...said(planPair(workload, 1500)),
    ...planHostAddresses(workload).map((line) => `host: ${line}`),
    ...said(rest),
  ];
  const whole = said(planPlug(workload, 1500, { from: 'nothing' }));
  assert.deepEqual(
    whole.filter((line) => !both.includes(line)),
    ['pod: net/ipv6/conf/eth0/disable_ipv6 = 0'],
  );
});
