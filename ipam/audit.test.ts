import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIp, parsePrefix } from '#net';
import { NEVER } from '../test/support/ipam-node.ts';
import { createMemoryStore } from '../test/support/memory-store.ts';
import { newAffinity, stepAffinity, type BlockAffinity } from './affinity.ts';
import { type AuditedPod, type AuditInput, audit } from './audit.ts';
import { assign, type Block, newBlock, release } from './block.ts';
import { blockName } from './names.ts';
import { doRepair } from './repair.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const HOUR_AGO = '2025-12-31T23:00:00.000Z';

function confirmed(node: string, cidr: string): BlockAffinity {
  const pending = newAffinity(node, parsePrefix(cidr));
  return stepAffinity(pending, 'blockIsOurs') ?? pending;
}

/** A block of node a in which each pod named holds the next address. */
function blockOf(cidr: string, pods: readonly string[], attributes: Readonly<Record<string, string>> = {}): Block {
  let block = newBlock(parsePrefix(cidr), 'a', NOW);
  for (const pod of pods) {
    const more = { namespace: 'default', pod, node: 'a', timestamp: HOUR_AGO, ...attributes };
    const result = assign(block, { handle: `net.${pod}`, attributes: more }, NOW);
    assert.ok(result.kind === 'assigned');
    block = result.block;
  }
  return block;
}

function pod(name: string, ips: readonly string[], more: Partial<AuditedPod> = {}): AuditedPod {
  const defaults = { namespace: 'default', node: 'a', hostNetwork: false, finished: false };
  return { ...defaults, name, ips: ips.map(parseIp), ...more };
}

function state(more: Partial<AuditInput> = {}): AuditInput {
  return {
    pools: [{ name: 'web', cidr: parsePrefix('10.64.0.0/16') }],
    blocks: [blockOf('10.64.0.0/29', ['web-0'])],
    affinities: [confirmed('a', '10.64.0.0/29')],
    unreadable: [],
    pods: [pod('web-0', ['10.64.0.0'])],
    nodes: new Set(['a']),
    now: NOW,
    ...more,
  };
}

const rows: readonly { name: string; state: AuditInput; findings: readonly string[] }[] = [
  { name: 'a sound cluster', state: state(), findings: [] },
  {
    name: 'an address whose pod is gone',
    state: state({ pods: [] }),
    findings: ['leaked 10.64.0.0: pod default/web-0 does not exist → release'],
  },
  {
    name: 'an address whose pod and node are gone',
    state: state({ pods: [], nodes: new Set() }),
    findings: ['leaked 10.64.0.0: pod default/web-0 does not exist, nor is node a → release'],
  },
  {
    name: 'a pod that has finished',
    state: state({ pods: [pod('web-0', ['10.64.0.0'], { finished: true })] }),
    findings: ['leaked 10.64.0.0: pod default/web-0 has finished → release'],
  },
  {
    name: 'a pod of the same name on another node',
    state: state({ pods: [pod('web-0', [], { node: 'b' })] }),
    findings: ['leaked 10.64.0.0: pod default/web-0 runs on node b, not on a → release'],
  },
  {
    name: 'an earlier sandbox of a living pod',
    state: state({
      blocks: [blockOf('10.64.0.0/29', ['web-0', 'old'], { pod: 'web-0' })],
      pods: [pod('web-0', ['10.64.0.1'])],
    }),
    findings: ['leaked 10.64.0.0: pod default/web-0 has 10.64.0.1 → release'],
  },
  { name: 'a pod that has told no address yet', state: state({ pods: [pod('web-0', [])] }), findings: [] },
  {
    name: 'an address handed out a moment ago',
    state: state({
      pods: [],
      blocks: [blockOf('10.64.0.0/29', ['web-0'], { timestamp: new Date(NOW - 1000).toISOString() })],
    }),
    findings: [],
  },
  {
    name: 'an address of nobody known',
    state: state({ pods: [], blocks: [blockOf('10.64.0.0/29', ['web-0'], { namespace: '' })] }),
    findings: [],
  },
  {
    name: 'a pod with an address that no block knows',
    state: state({ pods: [pod('web-0', ['10.64.0.0']), pod('web-1', ['10.64.0.1'])] }),
    findings: ['not held 10.64.0.1: pod default/web-1 on node a has it, and no block says so'],
  },
  {
    name: 'pods of the host network and addresses of no pool',
    state: state({
      pods: [pod('web-0', ['10.64.0.0']), pod('host', ['10.64.0.5'], { hostNetwork: true }), pod('far', ['10.9.0.1'])],
    }),
    findings: [],
  },
  {
    name: 'two pods with one address',
    state: state({ pods: [pod('web-0', ['10.64.0.0']), pod('web-1', ['10.64.0.0'])] }),
    findings: ['duplicate 10.64.0.0: pod default/web-0 and pod default/web-1 have it'],
  },
  {
    name: 'a block in no pool',
    state: state({ pools: [] }),
    findings: ['outside pool 10.64.0.0/29: block of node a with 1 addresses in use lies in no pool'],
  },
  {
    name: 'two blocks that share addresses, the inner one empty',
    state: state({
      blocks: [blockOf('10.64.0.0/29', ['web-0']), blockOf('10.64.0.4/30', [])],
      affinities: [confirmed('a', '10.64.0.0/29'), confirmed('a', '10.64.0.4/30')],
    }),
    findings: ['overlap 10.64.0.4/30: shares addresses with block 10.64.0.0/29 of node a → remove block'],
  },
  {
    name: 'affinities without a block, to the block of another, and a claim in progress',
    state: state({
      affinities: [
        confirmed('a', '10.64.0.0/29'),
        confirmed('a', '10.64.0.8/29'),
        confirmed('b', '10.64.0.0/29'),
        newAffinity('c', parsePrefix('10.64.0.16/29')),
      ],
    }),
    findings: [
      'affinity without block a-10-64-0-8-29: node a claims block 10.64.0.8/29, which does not exist → remove affinity',
      'affinity without block b-10-64-0-0-29: node b claims block 10.64.0.0/29, which belongs to a → remove affinity',
    ],
  },
  {
    name: 'a block in use without an affinity',
    state: state({ affinities: [] }),
    findings: [
      'block without affinity 10.64.0.0/29: block 10-64-0-0-29 belongs to node a, which has no affinity to it',
    ],
  },
  {
    name: 'an empty block of a node that is gone',
    state: state({ affinities: [], nodes: new Set(), pods: [], blocks: [blockOf('10.64.0.0/29', [])] }),
    findings: [
      'block without affinity 10.64.0.0/29: block 10-64-0-0-29 belongs to node a, which does not exist → remove block',
    ],
  },
  {
    name: 'objects that cannot be read, and a block that contradicts itself',
    state: state({
      unreadable: [{ name: 'IPAMBlock odd', reason: 'spec.cidr: is missing' }],
      blocks: [{ ...blockOf('10.64.0.0/29', ['web-0']), unallocated: [1, 2, 3, 4, 5, 6] }],
      pods: [],
    }),
    findings: [
      'corrupt IPAMBlock odd: spec.cidr: is missing',
      'corrupt 10.64.0.0/29: allocations: ordinal 7 is neither held nor free',
    ],
  },
];

describe('the audit finds', () => {
  for (const row of rows) {
    test(row.name, () => {
      const found = audit(row.state).map(
        ({ kind, subject, why, repair }) =>
          `${kind} ${subject}: ${why}${repair === undefined ? '' : ` → ${repair.kind}`}`,
      );
      assert.deepEqual(found, row.findings);
    });
  }
});

describe('a repair', () => {
  const judged = blockOf('10.64.0.0/29', ['web-0', 'web-1']);
  const freeing = { kind: 'release', block: judged.cidr, ip: parseIp('10.64.0.0'), handle: 'net.web-0' } as const;

  async function storeWith(block: Block) {
    const store = createMemoryStore();
    await store.blocks.create(blockName(block.cidr), block, { signal: NEVER });
    return store;
  }

  test('frees the one address, and lets it cool down', async () => {
    const store = await storeWith(judged);
    const context = { store, now: () => NOW, cooldownSeconds: 60, judged: [judged] };
    assert.equal(await doRepair(freeing, context, NEVER), true);
    const [block] = store.snapshot().blocks.values();
    assert.deepEqual(
      block?.attributes.map(({ handle }) => handle),
      ['net.web-1', undefined],
    );
    assert.equal(await doRepair(freeing, context, NEVER), false, 'once is enough');
  });

  test('refuses what changed hands since it was judged, though it has the same handle again', async () => {
    const freed = release(judged, { handle: 'net.web-0' }, NOW);
    assert.ok(freed.kind === 'released');
    let again = freed.block;
    for (let ordinal = 2; ordinal <= 8; ordinal += 1) {
      const result = assign(again, { handle: ordinal === 8 ? 'net.web-0' : `x${ordinal}`, attributes: {} }, NOW);
      assert.ok(result.kind === 'assigned');
      again = result.block;
    }
    const store = await storeWith(again);
    const context = { store, now: () => NOW, cooldownSeconds: 0, judged: [judged] };
    assert.equal(await doRepair(freeing, context, NEVER), false);
    assert.equal(store.snapshot().blocks.get('10-64-0-0-29')?.sequenceNumber, again.sequenceNumber);
  });

  test('removes no block that came into use', async () => {
    const empty = newBlock(judged.cidr, 'a', NOW);
    const store = await storeWith(judged);
    const context = { store, now: () => NOW, cooldownSeconds: 0, judged: [empty] };
    assert.equal(await doRepair({ kind: 'remove block', block: judged.cidr }, context, NEVER), false);
  });
});
