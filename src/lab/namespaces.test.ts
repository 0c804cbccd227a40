import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planNetwork } from './namespaces.ts';
import { planTopology } from './topology.ts';

const batches = planNetwork(planTopology({ name: 'lab', racks: 2, nodesPerRack: 2 }));

test('in the host namespace a plan only makes namespaces: no link, address or route is born there', () => {
  const host = batches.filter((batch) => batch.netns === undefined).flatMap((batch) => batch.lines);
  assert.equal(host.length, 6);
  for (const line of host) assert.match(line, /^netns add mx-lab-/);
});

test('every veth peer is born inside a namespace of the lab', () => {
  const links = batches.flatMap((batch) => batch.lines).filter((line) => line.includes('type veth'));
  assert.equal(links.length, 5);
  for (const line of links) assert.match(line, / netns mx-lab-/);
});

test('a link between two ToRs is made once', () => {
  const between = batches.flatMap((batch) => batch.lines).filter((line) => line.startsWith('link add to-tor'));
  assert.deepEqual(between, ['link add to-tor2 type veth peer name to-tor1 netns mx-lab-tor2']);
});
