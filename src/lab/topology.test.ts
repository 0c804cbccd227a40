import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabSpecError, netnsPrefix, onLink, onRack, planTopology, podNetns } from './topology.ts';

test('two racks of two nodes: names, addresses and gateways', () => {
  const topology = planTopology({ name: 'lab', racks: 2, nodesPerRack: 2 });
  assert.deepEqual(
    topology.nodes.map((node) => [node.name, node.netns, ...node.addresses, node.gateways[0]]),
    [
      ['node11', 'mx-lab-node11', '172.30.1.11', 'fd00:30:0:1::b', '172.30.1.1'],
      ['node12', 'mx-lab-node12', '172.30.1.12', 'fd00:30:0:1::c', '172.30.1.1'],
      ['node21', 'mx-lab-node21', '172.30.2.11', 'fd00:30:0:2::b', '172.30.2.1'],
      ['node22', 'mx-lab-node22', '172.30.2.12', 'fd00:30:0:2::c', '172.30.2.1'],
    ],
  );
});

test('both ends of a ToR link agree about its addresses and AS numbers', () => {
  const { tors } = planTopology({ name: 'lab', racks: 3, nodesPerRack: 1 });
  for (const tor of tors) {
    for (const link of tor.links) {
      const peer = tors.find((candidate) => candidate.name === link.peer);
      const back = peer?.links.find((candidate) => candidate.peer === tor.name);
      assert.deepEqual(back?.peerAddresses, link.addresses);
      assert.deepEqual(back?.addresses, link.peerAddresses);
      assert.equal(link.peerAs, peer?.as);
    }
  }
});

test('no address is given twice in the largest lab', () => {
  const topology = planTopology({ name: 'lab', racks: 9, nodesPerRack: 9 });
  const all = [
    ...topology.nodes.flatMap((node) => node.addresses),
    ...topology.tors.flatMap((tor) => [...tor.gateways, ...tor.links.flatMap((link) => link.addresses)]),
  ];
  assert.equal(new Set(all).size, all.length);
});

test('every namespace of a lab begins with its prefix, pods too', () => {
  const { nodes, tors } = planTopology({ name: 'a', racks: 1, nodesPerRack: 1 });
  for (const netns of [...nodes, ...tors].map((host) => host.netns))
    assert.ok(netns.startsWith(netnsPrefix('a')), netns);
  assert.ok(podNetns('a', 'web').startsWith(netnsPrefix('a')));
});

for (const [field, spec] of [
  ['lab name', { name: 'Not Good', racks: 1, nodesPerRack: 1 }],
  ['lab name', { name: 'toolongname', racks: 1, nodesPerRack: 1 }],
  ['racks', { name: 'a', racks: 0, nodesPerRack: 1 }],
  ['racks', { name: 'a', racks: 10, nodesPerRack: 1 }],
  ['nodes per rack', { name: 'a', racks: 1, nodesPerRack: 1.5 }],
] as const) {
  test(`a bad ${field} is refused by name: ${JSON.stringify(spec)}`, () => {
    assert.throws(
      () => planTopology(spec),
      (error: unknown) => error instanceof LabSpecError && error.message.includes(field),
    );
  });
}

test('addresses carry the length of their network', () => {
  const [node] = planTopology({ name: 'a', racks: 1, nodesPerRack: 1 }).nodes;
  assert.ok(node !== undefined);
  assert.equal(onRack(node.addresses[0], 4), '172.30.1.11/24');
  assert.equal(onRack(node.addresses[1], 6), 'fd00:30:0:1::b/64');
  assert.equal(onLink(node.addresses[0], 4), '172.30.1.11/31');
});
