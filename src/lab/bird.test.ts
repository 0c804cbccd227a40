import assert from 'node:assert/strict';
import { test } from 'node:test';
import { birdConfig } from './bird.ts';
import { planTopology } from './topology.ts';

const topology = planTopology({ name: 'lab', racks: 2, nodesPerRack: 2 });

test('a ToR peers with the nodes of its own rack and with every other ToR', () => {
  const [tor] = topology.tors;
  assert.ok(tor !== undefined);
  const text = birdConfig(tor, topology);
  const protocols = [...text.matchAll(/protocol bgp (\w+)/g)].map((match) => match[1]);
  assert.deepEqual(protocols, ['node11', 'node12', 'tor2']);
  assert.match(text, /neighbor 172\.30\.1\.11 as 64512;/);
  assert.match(text, /local 172\.30\.1\.1 as 65101;/);
});

test('from nodes a ToR takes prefixes inside the pools and nothing else', () => {
  const [tor] = topology.tors;
  assert.ok(tor !== undefined);
  assert.match(birdConfig(tor, topology), /filter pods4 \{ if net ~ \[ 10\.64\.0\.0\/16\+ \] then accept; reject; \}/);
});
