// The audit: what the store says about addresses against what the cluster says about pods. A snapshot in, findings out, each
// with the repair that a machine may do, or none when a person must decide. [pure]
//
// The rule behind every repair: an address is freed only when nothing suggests that it is in use. What carries no pod's
// name, is younger than the grace period, or belongs to a pod that has told no address yet, counts as in use.

import { contains, containsIp, type Ip, nthAddress, overlaps, type Prefix, comparePrefix } from '#net';
import type { BlockAffinity } from './affinity.ts';
import { type Block, blockFaults, holdings, isEmpty } from './block.ts';
import { affinityName, blockName } from './names.ts';

export interface AuditedPod {
  readonly namespace: string;
  readonly name: string;
  /** Undefined until scheduled. */
  readonly node: string | undefined;
  readonly hostNetwork: boolean;
  /** Succeeded or Failed: its addresses are free to go. */
  readonly finished: boolean;
  readonly ips: readonly Ip[];
}

export interface AuditInput {
  readonly pools: readonly { readonly name: string; readonly cidr: Prefix }[];
  readonly blocks: readonly Block[];
  /** Objects that could not be understood. */
  readonly unreadable: readonly { readonly name: string; readonly reason: string }[];
  readonly affinities: readonly BlockAffinity[];
  readonly pods: readonly AuditedPod[];
  /** Names of the Nodes there are. */
  readonly nodes: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** An address younger than this is not suspected; 60 s when absent. */
  readonly graceMs?: number;
}

export type FindingKind =
  | 'leaked' // held, and its pod is gone, elsewhere, finished, or has other addresses
  | 'not held' // a pod has it, the store does not know
  | 'duplicate' // two pods, or two blocks, have it
  | 'outside pool' // a block in no pool
  | 'affinity without block'
  | 'block without affinity'
  | 'overlap' // two blocks share addresses
  | 'corrupt'; // an object contradicts itself or cannot be read

export type Repair =
  | { readonly kind: 'release'; readonly block: Prefix; readonly ip: Ip; readonly handle: string }
  | { readonly kind: 'remove affinity'; readonly name: string }
  | { readonly kind: 'remove block'; readonly block: Prefix };

export interface Finding {
  readonly kind: FindingKind;
  /** An address, a block's CIDR, or an object's name. */
  readonly subject: string;
  /** One sentence. */
  readonly why: string;
  readonly repair: Repair | undefined;
}

const GRACE_MS = 60_000;

/** Every fault of the snapshot, by kind and then subject. */
export function audit(input: AuditInput): readonly Finding[] {
  const live = input.blocks.filter((block) => !block.deleted);
  const sound = live.filter((block) => blockFaults(block).length === 0);
  return [
    ...corrupt(live, input.unreadable),
    ...overlappingBlocks(sound),
    ...duplicates(sound, input.pods),
    ...outsidePools(sound, input.pools),
    ...leaked(sound, input),
    ...notHeld(sound, input),
    ...affinitiesWithoutBlock(live, input),
    ...blocksWithoutAffinity(sound, input),
  ];
}

/** Why this holding is not in use, undefined when it is or may be. */
export function whyLeaked(
  attributes: Readonly<Record<string, string>>,
  ip: Ip,
  { pods, nodes, now, graceMs = GRACE_MS }: Pick<AuditInput, 'pods' | 'nodes' | 'now' | 'graceMs'>,
): string | undefined {
  const { namespace = '', pod: name = '', node, timestamp } = attributes;
  if (namespace === '' || name === '' || Date.parse(timestamp ?? '') > now - graceMs) {
    return undefined;
  }
  const pod = pods.find((candidate) => candidate.namespace === namespace && candidate.name === name);
  if (pod === undefined) {
    const gone = node !== undefined && !nodes.has(node) ? `, nor is node ${node}` : '';
    return `pod ${namespace}/${name} does not exist${gone}`;
  }
  if (pod.finished) {
    return `pod ${namespace}/${name} has finished`;
  }
  if (node !== undefined && pod.node !== undefined && pod.node !== node) {
    return `pod ${namespace}/${name} runs on node ${pod.node}, not on ${node}`;
  }
  return pod.ips.length === 0 || pod.ips.includes(ip)
    ? undefined
    : `pod ${namespace}/${name} has ${pod.ips.join(' and ')}`;
}

function* corrupt(blocks: readonly Block[], unreadable: AuditInput['unreadable']): Generator<Finding> {
  for (const { name, reason } of unreadable) {
    yield { kind: 'corrupt', subject: name, why: reason, repair: undefined };
  }
  for (const block of blocks) {
    for (const fault of blockFaults(block)) {
      yield { kind: 'corrupt', subject: block.cidr, why: fault, repair: undefined };
    }
  }
}

function* overlappingBlocks(blocks: readonly Block[]): Generator<Finding> {
  let outer: Block | undefined;
  for (const block of blocks.toSorted((a, b) => comparePrefix(a.cidr, b.cidr))) {
    if (outer !== undefined && overlaps(outer.cidr, block.cidr)) {
      const why = `shares addresses with block ${outer.cidr} of ${ownerOf(outer)}`;
      const repair = isEmpty(block) ? ({ kind: 'remove block', block: block.cidr } as const) : undefined;
      yield { kind: 'overlap', subject: block.cidr, why, repair };
    } else {
      outer = block;
    }
  }
}

function* duplicates(blocks: readonly Block[], pods: readonly AuditedPod[]): Generator<Finding> {
  const owners = new Map<Ip, string[]>();
  const note = (ip: Ip, owner: string): void => void owners.set(ip, [...(owners.get(ip) ?? []), owner]);
  for (const pod of pods.filter(hasOwnAddresses)) {
    pod.ips.forEach((ip) => note(ip, `pod ${pod.namespace}/${pod.name}`));
  }
  yield* told(owners);
  owners.clear();
  for (const { ip, block } of held(blocks)) {
    note(ip, `block ${block.cidr}`);
  }
  yield* told(owners);
}

function* told(owners: ReadonlyMap<Ip, readonly string[]>): Generator<Finding> {
  for (const [ip, names] of owners) {
    if (names.length > 1) {
      yield { kind: 'duplicate', subject: ip, why: `${names.join(' and ')} have it`, repair: undefined };
    }
  }
}

function* outsidePools(blocks: readonly Block[], pools: AuditInput['pools']): Generator<Finding> {
  for (const block of blocks) {
    if (!pools.some((pool) => contains(pool.cidr, block.cidr))) {
      const count = [...holdings(block)].length;
      const why = `block of ${ownerOf(block)} with ${count} addresses in use lies in no pool`;
      yield { kind: 'outside pool', subject: block.cidr, why, repair: undefined };
    }
  }
}

function* leaked(blocks: readonly Block[], input: AuditInput): Generator<Finding> {
  const byName = new Map(input.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  for (const { ip, block, handle, attributes } of held(blocks)) {
    const pod = byName.get(`${attributes['namespace']}/${attributes['pod']}`);
    const why = whyLeaked(attributes, ip, { ...input, pods: pod === undefined ? [] : [pod] });
    if (why !== undefined) {
      yield { kind: 'leaked', subject: ip, why, repair: { kind: 'release', block: block.cidr, ip, handle } };
    }
  }
}

function* notHeld(blocks: readonly Block[], { pods, pools }: AuditInput): Generator<Finding> {
  const known = new Set([...held(blocks)].map(({ ip }) => ip));
  for (const pod of pods.filter(hasOwnAddresses)) {
    for (const ip of pod.ips) {
      if (!known.has(ip) && pools.some((pool) => containsIp(pool.cidr, ip))) {
        const why = `pod ${pod.namespace}/${pod.name} on node ${pod.node ?? '?'} has it, and no block says so`;
        yield { kind: 'not held', subject: ip, why, repair: undefined };
      }
    }
  }
}

function* affinitiesWithoutBlock(blocks: readonly Block[], { affinities }: AuditInput): Generator<Finding> {
  const byCidr = new Map(blocks.map((block) => [block.cidr, block]));
  for (const { node, cidr, state, deleted } of affinities) {
    const owner = byCidr.get(cidr)?.affinity;
    // A pending affinity without its block is a claim in progress.
    if (!deleted && state !== 'pending' && owner !== node) {
      const why = `node ${node} claims block ${cidr}, which ${byCidr.has(cidr) ? `belongs to ${owner ?? 'nobody'}` : 'does not exist'}`;
      const name = affinityName(node, cidr);
      yield { kind: 'affinity without block', subject: name, why, repair: { kind: 'remove affinity', name } };
    }
  }
}

function* blocksWithoutAffinity(blocks: readonly Block[], { affinities, nodes }: AuditInput): Generator<Finding> {
  const known = new Set(affinities.filter(({ deleted }) => !deleted).map(({ node, cidr }) => affinityName(node, cidr)));
  for (const block of blocks) {
    if (block.affinity !== undefined && !known.has(affinityName(block.affinity, block.cidr))) {
      const isOwnerGone = !nodes.has(block.affinity);
      const why = `block ${blockName(block.cidr)} belongs to node ${block.affinity}, which ${isOwnerGone ? 'does not exist' : 'has no affinity to it'}`;
      const repair = isOwnerGone && isEmpty(block) ? ({ kind: 'remove block', block: block.cidr } as const) : undefined;
      yield { kind: 'block without affinity', subject: block.cidr, why, repair };
    }
  }
}

interface Held {
  readonly ip: Ip;
  readonly block: Block;
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
}

function* held(blocks: readonly Block[]): Generator<Held> {
  for (const block of blocks) {
    for (const { ordinal, attribute } of holdings(block)) {
      if (attribute.handle !== undefined) {
        const { handle, attributes } = attribute;
        yield { ip: nthAddress(block.cidr, ordinal), block, handle, attributes };
      }
    }
  }
}

function hasOwnAddresses(pod: AuditedPod): boolean {
  return !pod.hostNetwork && !pod.finished;
}

function ownerOf(block: Block): string {
  return block.affinity === undefined ? 'no node' : `node ${block.affinity}`;
}
