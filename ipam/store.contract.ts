// What every IpamStore must keep, as a test suite that runs on any of them: the memory store, the Kubernetes store on the
// embedded API server, the Kubernetes store on a real kube-apiserver. It cleans up what it makes, so it may share a store.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { parsePrefix, type Prefix } from '#net';
import type { BlockAffinity } from './affinity.ts';
import type { Block } from './block.ts';
import { isIpamError, type IpamErrorCode } from './errors.ts';
import { affinityName, blockName } from './names.ts';
import type { Collection, IpamStore, Revisioned } from './store.ts';

const NODE = 'contract-node';
const RACERS = 12;

let nextSubnet = 0;

/** A CIDR no other contract test of this process used (198.18.0.0/15 and 2001:db8::/32 are for tests). */
function freshCidr(family: 4 | 6): Prefix {
  const index = nextSubnet++;
  return family === 4
    ? parsePrefix(`198.18.${(index >> 2) & 255}.${(index & 3) * 64}/26`)
    : parsePrefix(`2001:db8:${(index + 1).toString(16)}::/122`);
}

function sampleBlock(cidr: Prefix): Block {
  const allocations = Array.from({ length: 64 }, (): number | null => null);
  allocations[0] = 0;
  allocations[3] = 1;
  allocations[5] = 0;
  return {
    cidr,
    affinity: NODE,
    allocations,
    unallocated: [63, 1, 2, 4, ...Array.from({ length: 57 }, (_, index) => index + 6)],
    attributes: [
      { handle: 'net.c0ffee', attributes: { namespace: 'default', pod: 'web-0', node: NODE } },
      { handle: undefined, attributes: {}, releasedAt: '2026-01-02T03:04:05.678Z' },
    ],
    sequenceNumber: 1_767_323_045_678,
    sequenceNumberForAllocation: { '0': 1_767_323_045_676, '3': 1_767_323_045_677, '5': 1_767_323_045_678 },
    deleted: false,
  };
}

function sampleAffinity(cidr: Prefix): BlockAffinity {
  return { node: NODE, cidr, state: 'pending', deleted: false };
}

interface Subject<T> {
  readonly kind: string;
  readonly of: (store: IpamStore) => Collection<T>;
  readonly name: (cidr: Prefix) => string;
  readonly make: (cidr: Prefix) => T;
  readonly change: (value: T, round: number) => T;
}

const BLOCKS: Subject<Block> = {
  kind: 'blocks',
  of: (store) => store.blocks,
  name: blockName,
  make: sampleBlock,
  change: (value, round) => ({ ...value, affinity: undefined, sequenceNumber: value.sequenceNumber + round + 1 }),
};

const AFFINITIES: Subject<BlockAffinity> = {
  kind: 'affinities',
  of: (store) => store.affinities,
  name: (cidr) => affinityName(NODE, cidr),
  make: sampleAffinity,
  change: (value, round) => ({ ...value, state: round % 2 === 0 ? 'confirmed' : 'pendingDeletion' }),
};

/** Declares the contract's tests for the stores that `makeStore` makes; it is called once per kind of object. */
export function storeContract(name: string, makeStore: () => IpamStore | Promise<IpamStore>): void {
  describe(`ipam store contract: ${name}`, () => {
    collectionContract(BLOCKS, makeStore);
    collectionContract(AFFINITIES, makeStore);
  });
}

function collectionContract<T>(subject: Subject<T>, makeStore: () => IpamStore | Promise<IpamStore>): void {
  const options = { signal: AbortSignal.timeout(120_000) };
  const used: string[] = [];
  let made: Promise<IpamStore> | undefined;

  async function collection(): Promise<Collection<T>> {
    made ??= Promise.resolve(makeStore());
    return subject.of(await made);
  }

  function fresh(family: 4 | 6 = 4): { readonly name: string; readonly value: T } {
    const cidr = freshCidr(family);
    used.push(subject.name(cidr));
    return { name: subject.name(cidr), value: subject.make(cidr) };
  }

  async function create(): Promise<{ readonly name: string; readonly first: Revisioned<T> }> {
    const { name, value } = fresh();
    return { name, first: await (await collection()).create(name, value, options) };
  }

  after(async () => {
    const objects = await collection();
    for (const name of used) {
      const left = await objects.get(name, options);
      if (left !== undefined) {
        await objects.remove(name, left.revision, options);
      }
    }
  });

  for (const family of [4, 6] as const) {
    test(`${subject.kind}: what was created (IPv${family}) is read back field by field`, async () => {
      const objects = await collection();
      const { name, value } = fresh(family);
      const created = await objects.create(name, value, options);
      assert.deepEqual(created.value, value);
      assert.deepEqual(await objects.get(name, options), created);
    });
  }

  test(`${subject.kind}: an absent object reads as undefined`, async () => {
    assert.equal(await (await collection()).get(fresh().name, options), undefined);
  });

  test(`${subject.kind}: creating a name that is taken is a CONFLICT and changes nothing`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    await rejectsWith('CONFLICT', objects.create(name, subject.change(first.value, 0), options));
    assert.deepEqual(await objects.get(name, options), first);
  });

  test(`${subject.kind}: an update with the current revision is acknowledged, changes the revision and is read back`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    const second = await objects.update(name, subject.change(first.value, 0), first.revision, options);
    assert.notEqual(second.revision, first.revision);
    assert.deepEqual(second.value, subject.change(first.value, 0));
    assert.deepEqual(await objects.get(name, options), second);
  });

  test(`${subject.kind}: an update with a stale revision is a CONFLICT and changes nothing`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    const second = await objects.update(name, subject.change(first.value, 0), first.revision, options);
    await rejectsWith('CONFLICT', objects.update(name, subject.change(first.value, 1), first.revision, options));
    assert.deepEqual(await objects.get(name, options), second);
  });

  test(`${subject.kind}: updating an absent object is NOT_FOUND and creates nothing`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    await objects.remove(name, first.revision, options);
    await rejectsWith('NOT_FOUND', objects.update(name, first.value, first.revision, options));
    assert.equal(await objects.get(name, options), undefined);
  });

  test(`${subject.kind}: a removed object is absent, and its name can be taken again with a new revision`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    await objects.remove(name, first.revision, options);
    assert.equal(await objects.get(name, options), undefined);
    const again = await objects.create(name, first.value, options);
    assert.notEqual(again.revision, first.revision);
    await rejectsWith('CONFLICT', objects.update(name, first.value, first.revision, options));
  });

  test(`${subject.kind}: removing with a stale revision is a CONFLICT and removes nothing`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    const second = await objects.update(name, subject.change(first.value, 0), first.revision, options);
    await rejectsWith('CONFLICT', objects.remove(name, first.revision, options));
    assert.deepEqual(await objects.get(name, options), second);
  });

  test(`${subject.kind}: removing an absent object is NOT_FOUND`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    await objects.remove(name, first.revision, options);
    await rejectsWith('NOT_FOUND', objects.remove(name, first.revision, options));
  });

  test(`${subject.kind}: a list holds every write acknowledged before it, with the revision an update accepts`, async () => {
    const objects = await collection();
    const kept = await create();
    const gone = await create();
    await objects.remove(gone.name, gone.first.revision, options);
    const second = await objects.update(kept.name, subject.change(kept.first.value, 0), kept.first.revision, options);
    const listed = await objects.list(options);
    assert.deepEqual(
      listed.find((item) => item.revision === second.revision),
      second,
    );
    assert.ok(!listed.some((item) => item.revision === gone.first.revision || item.revision === kept.first.revision));
    await objects.update(kept.name, subject.change(second.value, 1), second.revision, options);
  });

  test(`${subject.kind}: of many that race to create one name exactly one succeeds, the others see CONFLICT`, async () => {
    const objects = await collection();
    const { name, value } = fresh();
    const outcomes = await Promise.allSettled(
      Array.from({ length: RACERS }, () => objects.create(name, value, options)),
    );
    assertOneWinner(outcomes);
  });

  test(`${subject.kind}: of many that race to update one revision exactly one succeeds, and its value stands`, async () => {
    const objects = await collection();
    const { name, first } = await create();
    const outcomes = await Promise.allSettled(
      Array.from({ length: RACERS }, (_, round) =>
        objects.update(name, subject.change(first.value, round), first.revision, options),
      ),
    );
    assert.deepEqual(await objects.get(name, options), assertOneWinner(outcomes));
  });

  test(`${subject.kind}: a caller's aborted signal ends the call with an error`, async () => {
    const objects = await collection();
    const { name, value } = fresh();
    await assert.rejects(objects.create(name, value, { signal: AbortSignal.abort() }));
  });
}

function assertOneWinner<T>(outcomes: readonly PromiseSettledResult<T>[]): T | undefined {
  const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  assert.equal(winners.length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      assert.ok(isIpamError(outcome.reason, 'CONFLICT'), `expected CONFLICT, got ${String(outcome.reason)}`);
    }
  }
  return winners[0]?.value;
}

async function rejectsWith(code: IpamErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(isIpamError(error), `expected an IpamError ${code}, got ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  });
}
