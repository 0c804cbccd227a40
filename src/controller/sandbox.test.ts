// When a sandbox lives: every state of a pod and of its node, as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '#net';
import { judge, type Sandbox } from './sandbox.ts';
import type { NodeView, PodView, Seen } from './snapshot.ts';

const [a, b, six] = [parseIp('10.64.0.1'), parseIp('10.64.0.9'), parseIp('fd00::1')];
const container = 'c0ffee00c0ffee00';

function sandbox(handle = `${container}.eth0`, node: string | undefined = 'n1'): Sandbox {
  const held = [a, six].map((ip, ordinal) => ({ ip, block: 'x', ordinal, handle, sequenceNumber: 1 }));
  return { key: 'k', pod: 'ns/p', node, held };
}

const pod = (deviation: Partial<PodView> = {}): PodView => ({
  node: 'n1',
  finished: false,
  ips: [a, six],
  ...deviation,
});
const up: NodeView = { reporting: true };

interface Row {
  readonly name: string;
  readonly pod: Seen<PodView>;
  readonly node?: Seen<NodeView>;
  readonly sandbox?: Sandbox;
  readonly lives: boolean;
  readonly why: string;
}

const rows: readonly Row[] = [
  { name: 'its pod reports both addresses', pod: pod(), node: up, lives: true, why: 'has the address' },
  {
    name: 'its pod reports one of its addresses',
    pod: pod({ ips: [six] }),
    node: up,
    lives: true,
    why: 'has the address',
  },
  { name: 'its pod is gone', pod: undefined, lives: false, why: 'pod gone' },
  { name: 'its pod cannot be understood', pod: 'unreadable', node: up, lives: true, why: 'unknown' },
  {
    name: 'its pod has finished, though it still reports the address',
    pod: pod({ finished: true }),
    node: up,
    lives: false,
    why: 'pod finished',
  },
  { name: 'its pod reports other addresses', pod: pod({ ips: [b] }), node: up, lives: false, why: 'not in podIPs' },
  { name: 'its pod reports no address yet', pod: pod({ ips: [] }), node: up, lives: true, why: 'starting' },
  {
    name: 'its pod is on another node',
    pod: pod({ node: 'n2', ips: [b] }),
    node: up,
    lives: false,
    why: 'pod elsewhere',
  },
  {
    name: 'its pod is on another node and reports nothing yet',
    pod: pod({ node: 'n2', ips: [] }),
    node: up,
    lives: false,
    why: 'pod elsewhere',
  },
  {
    name: 'its pod is on another node and has kept the address',
    pod: pod({ node: 'n2' }),
    node: up,
    lives: true,
    why: 'has the address',
  },
  {
    name: 'a new pod of its name is not bound yet',
    pod: pod({ node: undefined, ips: [] }),
    lives: false,
    why: 'pod elsewhere',
  },
  {
    name: 'nobody wrote down its node',
    pod: pod({ node: 'n2', ips: [] }),
    node: up,
    sandbox: { ...sandbox(), node: undefined },
    lives: true,
    why: 'starting',
  },
  {
    name: 'the kubelet that reports other addresses is not heard',
    pod: pod({ ips: [b] }),
    node: { reporting: false },
    lives: true,
    why: 'not reporting',
  },
  {
    name: 'the Node that reports other addresses is gone',
    pod: pod({ ips: [b] }),
    node: undefined,
    lives: true,
    why: 'not reporting',
  },
  {
    name: 'the Node that reports other addresses cannot be understood',
    pod: pod({ ips: [b] }),
    node: 'unreadable',
    lives: true,
    why: 'not reporting',
  },
  {
    name: 'it is a secondary interface, which podIPs never names',
    pod: pod({ ips: [b] }),
    node: up,
    sandbox: sandbox(`${container}.net1`),
    lives: true,
    why: 'unknown',
  },
  {
    name: 'it is a secondary interface of a pod that is gone',
    pod: undefined,
    sandbox: sandbox(`${container}.net1`),
    lives: false,
    why: 'pod gone',
  },
  {
    name: 'its handle is of another program, and podIPs has other addresses',
    pod: pod({ ips: [b] }),
    node: up,
    sandbox: sandbox('k8s-pod-network.abc'),
    lives: false,
    why: 'not in podIPs',
  },
];

for (const row of rows) {
  test(`a sandbox ${row.lives ? 'lives' : 'is dead'} when ${row.name}`, () => {
    assert.deepEqual(judge(row.sandbox ?? sandbox(), row.pod, row.node), { lives: row.lives, why: row.why });
  });
}

test('IPv6 addresses are compared in their canonical form', () => {
  const spelled = pod({ ips: [parseIp('FD00:0:0:0:0:0:0:1')] });
  assert.equal(judge(sandbox(), spelled, up).lives, true);
});
