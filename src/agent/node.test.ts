import { deepEqual, match } from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import type { NodeObject } from './cluster-view.ts';
import { defaultInterface4, defaultInterface6 } from './local-interfaces.ts';
import { asOf, ownAddresses, type LocalInterfaces } from './node.ts';

function node(ips: readonly string[], annotations: Readonly<Record<string, string>> = {}): NodeObject {
  return { name: 'a', labels: {}, annotations, internalIps: ips.map(parseIp) };
}

const local: LocalInterfaces = {
  addresses: [
    { ip: parseIp('198.51.100.1'), interface: 'mgmt' },
    { ip: parseIp('192.0.2.1'), interface: 'eth0' },
    { ip: parseIp('2001:db8::1'), interface: 'eth0' },
  ],
  defaultInterface: { 4: 'eth0', 6: 'eth0' },
};

const rows: readonly {
  name: string;
  node: NodeObject;
  local?: LocalInterfaces;
  addresses: object;
  detected?: boolean;
  fault?: RegExp;
}[] = [
  {
    name: 'InternalIPs are taken when the machine holds them',
    node: node(['192.0.2.1', '2001:db8::1']),
    addresses: { 4: '192.0.2.1', 6: '2001:db8::1' },
  },
  {
    name: 'an annotation overrides an InternalIP',
    node: node(['192.0.2.1'], { 'manx.network/IPv4Address': '198.51.100.1/24' }),
    addresses: { 4: '198.51.100.1' },
  },
  {
    name: 'an address the machine does not hold is refused by name',
    node: node(['192.0.2.77']),
    addresses: {},
    fault: /192\.0\.2\.77 is on no interface/,
  },
  {
    name: 'one family missing leaves the other',
    node: node(['192.0.2.1', '2001:db8::77']),
    addresses: { 4: '192.0.2.1' },
    fault: /2001:db8::77/,
  },
  {
    name: 'with no InternalIP the default route’s interface decides',
    node: node([]),
    addresses: { 4: '192.0.2.1', 6: '2001:db8::1' },
    detected: true,
  },
  {
    name: 'with nothing to be had there is one clear fault',
    node: node([]),
    local: { addresses: [], defaultInterface: {} },
    addresses: {},
    fault: /no InternalIP/,
  },
];
for (const row of rows) {
  test(row.name, () => {
    const own = ownAddresses(row.node, row.local ?? local);
    deepEqual(
      { addresses: own.addresses, detected: own.detected },
      { addresses: row.addresses, detected: row.detected ?? false },
    );
    if (row.fault === undefined) deepEqual(own.faults, []);
    else match(own.faults.join(), row.fault);
  });
}

test('an AS number that cannot be is named and the default used', () => {
  deepEqual(asOf(node([], { 'manx.network/ASNumber': '4200000000' }), 64512), { as: 4200000000, fault: undefined });
  const bad = asOf(node([], { 'manx.network/ASNumber': '23456' }), 64512);
  deepEqual(bad.as, 64512);
  match(bad.fault ?? '', /23456/);
});

test('the IPv4 default route with the lowest metric is found', () => {
  const text = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
mgmt\t00000000\t016433C6\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
  deepEqual([defaultInterface4(text), defaultInterface4('')], ['eth0', undefined]);
});

test('the IPv6 default route is found and the kernel’s own reject route is not', () => {
  const zero = '0'.repeat(32);
  const text = `20010db8000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0
${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo
`;
  deepEqual([defaultInterface6(text), defaultInterface6('')], ['eth0', undefined]);
});
