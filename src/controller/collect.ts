// What IPAM holds that nobody uses any more: addresses of dead sandboxes, empty blocks of Nodes that are gone, affinities of
// such Nodes. Pure: a snapshot → findings; findings over time → candidates; candidates that are old enough → work.
//
// Invariants: a finding is only a suspicion; it becomes a candidate with the time it was first seen, and work after the
// grace period, if it was found in every round between. Whoever does the work looks again (collector.ts). The result
// depends on the states seen and when, not on the order of events that led to them.
import { type Block, blockName, isEmpty } from '#ipam';
import { judge, doubtfulSandboxes, type Held, type Sandbox } from './sandbox.ts';
import type { Snapshot } from './snapshot.ts';

export type Finding =
  | { readonly kind: 'addresses'; readonly key: string; readonly sandbox: Sandbox; readonly why: string }
  | { readonly kind: 'block'; readonly key: string; readonly name: string; readonly owner: string | undefined }
  | { readonly kind: 'affinity'; readonly key: string; readonly name: string; readonly node: string };

export type FindingKind = Finding['kind'];

export const findingKinds: readonly FindingKind[] = ['addresses', 'block', 'affinity'];

/** A suspicion and the things that must have been so for the whole grace period for it to be acted on. */
export interface Suspicion {
  readonly finding: Finding;
  readonly evidence: readonly string[];
}

export function findUnused(snapshot: Snapshot): readonly Suspicion[] {
  return [...deadSandboxes(snapshot), ...ownerlessBlocks(snapshot), ...leftAffinities(snapshot)];
}

function deadSandboxes(snapshot: Snapshot): readonly Suspicion[] {
  return doubtfulSandboxes(snapshot).flatMap((sandbox) => {
    const pod = snapshot.pod(sandbox.pod);
    const boundTo = typeof pod === 'object' ? pod.node : undefined;
    const verdict = judge(sandbox, pod, boundTo === undefined ? undefined : snapshot.node(boundTo));
    if (verdict.lives) return [];
    const finding = { kind: 'addresses', key: `addresses ${sandbox.key}`, sandbox, why: verdict.why } as const;
    return [{ finding, evidence: sandbox.held.map(heldKey) }];
  });
}

/** Names one assignment, not one address: the same address assigned anew begins a new grace period. */
function heldKey({ block, ordinal, sequenceNumber }: Held): string {
  return `held ${block} ${ordinal} ${sequenceNumber ?? ''}`;
}

/** Empty blocks whose Node is gone, or that nobody owns. That they are empty is checked again when they are removed. */
function ownerlessBlocks(snapshot: Snapshot): readonly Suspicion[] {
  return [...snapshot.blocks].flatMap(([name, block]) => {
    const { affinity: owner } = block;
    if (!isUnheld(block) || (owner !== undefined && snapshot.node(owner) !== undefined)) return [];
    const evidence = [owner === undefined ? `unowned ${name} ${block.sequenceNumber}` : goneKey(owner)];
    return [{ finding: { kind: 'block', key: `block ${name}`, name, owner } as const, evidence }];
  });
}

/** True when nobody holds an address; a block that another program deleted softly counts as such. */
function isUnheld(block: Block): boolean {
  return block.deleted || isEmpty(block);
}

/** Affinities of Nodes that are gone to blocks that do not exist, or that belong to somebody else. */
function leftAffinities(snapshot: Snapshot): readonly Suspicion[] {
  const owned = new Set([...snapshot.blocks.values()].map(({ cidr, affinity = '' }) => `${cidr} ${affinity}`));
  return [...snapshot.affinities].flatMap(([name, { node, cidr }]) => {
    if (snapshot.node(node) !== undefined || owned.has(`${cidr} ${node}`)) return [];
    if (snapshot.badBlocks.has(blockName(cidr))) return [];
    return [{ finding: { kind: 'affinity', key: `affinity ${name}`, name, node } as const, evidence: [goneKey(node)] }];
  });
}

const goneKey = (node: string): string => `node gone ${node}`;

/** Evidence → when it was first seen (monotonic ms) and has been ever since. */
export type Memory = ReadonlyMap<string, number>;

/**
 * The evidence of this round: what was known keeps its time, what is not found any more is forgotten. A Node that is gone
 * is remembered from the first round that misses it, whether or not it has an empty block yet.
 */
export function remember(snapshot: Snapshot, suspicions: readonly Suspicion[], before: Memory, nowMs: number): Memory {
  const seen = suspicions.flatMap(({ evidence }) => evidence);
  return new Map([...seen, ...goneNodes(snapshot)].map((key) => [key, before.get(key) ?? nowMs]));
}

function goneNodes(snapshot: Snapshot): readonly string[] {
  const owners = new Set([...snapshot.blocks.values()].map(({ affinity }) => affinity));
  for (const { node } of snapshot.affinities.values()) owners.add(node);
  return [...owners].flatMap((owner) =>
    owner === undefined || snapshot.node(owner) !== undefined ? [] : [goneKey(owner)],
  );
}

/** Findings all of whose evidence is at least a grace period old. */
export function dueFindings(
  suspicions: readonly Suspicion[],
  memory: Memory,
  at: { readonly nowMs: number; readonly graceMs: number },
): readonly Finding[] {
  const isOld = (key: string): boolean => at.nowMs - (memory.get(key) ?? at.nowMs) >= at.graceMs;
  return suspicions.filter(({ evidence }) => evidence.every(isOld)).map(({ finding }) => finding);
}

/**
 * At most `limit` findings, those first whose last attempt is longest ago, so that one that fails for ever cannot starve
 * the rest. `attempts`: key → round of the last attempt.
 */
export function pickWork(
  due: readonly Finding[],
  attempts: ReadonlyMap<string, number>,
  limit: number,
): readonly Finding[] {
  const last = ({ key }: Finding): number => attempts.get(key) ?? -1;
  return due.toSorted((a, b) => last(a) - last(b)).slice(0, limit);
}
