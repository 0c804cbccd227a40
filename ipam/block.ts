// A block is a value: a small CIDR of one pool whose addresses are handed out by ordinal (kind IPAMBlock, Calico's field
// names). Nothing here reads a clock or a store: assign and release return a new block or a reason.
//
// Invariants, kept by every function and checked by blockFaults:
// * an ordinal is free (in `unallocated`, its allocation null) or held (its allocation points at an attribute), never both;
// * free ordinals queue: the one that is free longest is handed out first, so an address rests as long as possible;
// * `sequenceNumber` grows with every change, and each ordinal keeps the number of its last change while it is held: who
//   decided on an old view of the block cannot release an address that was re-used since (the ABA problem).

import { addressCount, type Prefix } from '#net';

/** Who holds an address, or who held it while it cools down. */
export interface BlockAttribute {
  /** The holder; undefined while the address cools down after its release. */
  readonly handle: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** RFC 3339 time of the release; present only while the address cools down. */
  readonly releasedAt?: string;
}

export interface Block {
  readonly cidr: Prefix;
  /** Name of the owning node; undefined when nobody owns the block. */
  readonly affinity: string | undefined;
  /** One entry per ordinal: index into `attributes`, or null when free. */
  readonly allocations: readonly (number | null)[];
  /** Free ordinals, the one that is free longest first. */
  readonly unallocated: readonly number[];
  readonly attributes: readonly BlockAttribute[];
  /** Grows with every change. */
  readonly sequenceNumber: number;
  /** Ordinal (decimal) → sequence number of the change that assigned or released it. */
  readonly sequenceNumberForAllocation: Readonly<Record<string, number>>;
  /** Calico's soft delete: present in the store, absent for every reader. */
  readonly deleted: boolean;
}

export interface AssignRequest {
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Addresses the handle shall hold in this block; 1 when absent. */
  readonly count?: number;
  /** Fewer than `count` will do, but not none. */
  readonly partial?: boolean;
  /** How long a released address rests before it is handed out again; 0 when absent. */
  readonly cooldownSeconds?: number;
  /** Ordinals that are not handed out; they keep their place in the queue. */
  readonly isReserved?: IsReserved;
}

/** Whether an ordinal is set aside (IPReservation): only a request for that very address gets it. */
export type IsReserved = (ordinal: number) => boolean;

export type AssignResult =
  | { readonly kind: 'assigned'; readonly block: Block; readonly ordinals: readonly number[] }
  | { readonly kind: 'refused'; readonly reason: 'full' };

export type AssignOneResult =
  | { readonly kind: 'assigned'; readonly block: Block }
  | { readonly kind: 'refused'; readonly holder: BlockAttribute | undefined };

export interface ReleaseRequest {
  readonly handle: string;
  /** Ordinals the handle shall keep. */
  readonly keep?: ReadonlySet<number>;
  readonly cooldownSeconds?: number;
  /** Refuse unless every address of the handle was last changed at this sequence number. */
  readonly sequenceNumber?: number;
}

export type ReleaseResult =
  | { readonly kind: 'released'; readonly block: Block; readonly ordinals: readonly number[] }
  | { readonly kind: 'refused'; readonly reason: 'changed since' };

/** An empty block; `now` (ms since the epoch) seeds the sequence number, so that a block made again never repeats one. */
export function newBlock(cidr: Prefix, affinity: string | undefined, now: number): Block {
  const size = Number(addressCount(cidr));
  return {
    cidr,
    affinity,
    allocations: Array.from({ length: size }, () => null),
    unallocated: Array.from({ length: size }, (_, ordinal) => ordinal),
    attributes: [],
    sequenceNumber: now,
    sequenceNumberForAllocation: {},
    deleted: false,
  };
}

/** Gives the handle `count` addresses, the ones it already holds first; the same block comes back if nothing changed. */
export function assign(block: Block, request: AssignRequest, now: number): AssignResult {
  const count = request.count ?? 1;
  const held = ordinalsOf(block, request.handle);
  if (held.length >= count) {
    return { kind: 'assigned', block, ordinals: held.slice(0, count) };
  }
  const rested = endCooldown(block, request.cooldownSeconds ?? 0, now);
  const taken = firstFree(rested, count - held.length, request.isReserved);
  const got = held.length + taken.length;
  if (request.partial === true ? got === 0 : got < count) {
    return { kind: 'refused', reason: 'full' };
  }
  const ordinals = [...held, ...taken];
  return taken.length === 0
    ? { kind: 'assigned', block, ordinals }
    : { kind: 'assigned', block: hold(rested, taken, request), ordinals };
}

/**
 * Gives the handle this very address. Neither a reservation nor a cool-down is in its way: both keep others from it.
 * Refused with the holder when somebody else has it.
 */
export function assignOrdinal(block: Block, request: AssignRequest & { readonly ordinal: number }): AssignOneResult {
  const { ordinal, handle } = request;
  const index = block.allocations[ordinal];
  const holder = index === null || index === undefined ? undefined : block.attributes[index];
  if (holder?.handle === handle) {
    return { kind: 'assigned', block };
  }
  if (holder?.handle !== undefined || index === undefined) {
    return { kind: 'refused', holder };
  }
  const freed = holder === undefined ? block : free(block, [ordinal]);
  return { kind: 'assigned', block: hold(freed, [ordinal], request) };
}

/** Frees every address of the handle, or lets it cool down; absent is not an error: the same block and no ordinals. */
export function release(block: Block, request: ReleaseRequest, now: number): ReleaseResult {
  const ordinals = ordinalsOf(block, request.handle).filter((ordinal) => request.keep?.has(ordinal) !== true);
  if (ordinals.length === 0) {
    return { kind: 'released', block, ordinals };
  }
  const { sequenceNumber, cooldownSeconds = 0 } = request;
  const numbers = block.sequenceNumberForAllocation;
  if (sequenceNumber !== undefined && ordinals.some((ordinal) => numbers[String(ordinal)] !== sequenceNumber)) {
    return { kind: 'refused', reason: 'changed since' };
  }
  const released = cooldownSeconds > 0 ? coolDown(block, ordinals, now) : free(block, ordinals);
  return { kind: 'released', block: released, ordinals };
}

/** The same block with the next sequence number: a write of it makes every older write in flight fail. */
export function touch(block: Block): Block {
  return { ...block, sequenceNumber: block.sequenceNumber + 1 };
}

/** Ordinals the handle holds, ascending. */
export function ordinalsOf(block: Block, handle: string): readonly number[] {
  const wanted = new Set<number>();
  for (const [index, attribute] of block.attributes.entries()) {
    if (attribute.handle === handle) {
      wanted.add(index);
    }
  }
  return wanted.size === 0 ? [] : ordinalsWhere(block, (index) => wanted.has(index));
}

/** Everything held in the block, by ordinal; addresses that cool down are not held. */
export function* holdings(block: Block): Generator<{ readonly ordinal: number; readonly attribute: BlockAttribute }> {
  for (const [ordinal, index] of block.allocations.entries()) {
    const attribute = index === null ? undefined : block.attributes[index];
    if (attribute?.handle !== undefined) {
      yield { ordinal, attribute };
    }
  }
}

/** True when nobody holds an address of the block; addresses that cool down do not count. */
export function isEmpty(block: Block): boolean {
  return block.attributes.every((attribute) => attribute.handle === undefined);
}

/** How many addresses a request could get now if none were reserved, those whose cool-down has ended included. */
export function freeCount(block: Block, cooldownSeconds: number, now: number): number {
  return endCooldown(block, cooldownSeconds, now).unallocated.length;
}

/** How many of the free addresses are set aside. */
export function reservedCount(block: Block, isReserved: IsReserved, cooldown: Cooldown): number {
  return endCooldown(block, cooldown.seconds, cooldown.now).unallocated.filter(isReserved).length;
}

export interface Cooldown {
  readonly seconds: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

function firstFree(block: Block, count: number, isReserved: IsReserved | undefined): readonly number[] {
  if (isReserved === undefined) {
    return block.unallocated.slice(0, count);
  }
  const taken: number[] = [];
  for (const ordinal of block.unallocated) {
    if (taken.length === count) {
      break;
    }
    if (!isReserved(ordinal)) {
      taken.push(ordinal);
    }
  }
  return taken;
}

function hold(block: Block, ordinals: readonly number[], request: AssignRequest): Block {
  const index = block.attributes.length;
  const sequenceNumber = block.sequenceNumber + 1;
  const taken = new Set(ordinals);
  const allocations = block.allocations.map((was, ordinal) => (taken.has(ordinal) ? index : was));
  return {
    ...block,
    allocations,
    unallocated: block.unallocated.filter((ordinal) => !taken.has(ordinal)),
    attributes: [...block.attributes, { handle: request.handle, attributes: request.attributes }],
    sequenceNumber,
    sequenceNumberForAllocation: { ...block.sequenceNumberForAllocation, ...numbered(ordinals, sequenceNumber) },
  };
}

function free(block: Block, ordinals: readonly number[]): Block {
  const freed = new Set(ordinals);
  const numbers = Object.entries(block.sequenceNumberForAllocation);
  return dropUnusedAttributes({
    ...block,
    allocations: block.allocations.map((index, ordinal) => (freed.has(ordinal) ? null : index)),
    unallocated: [...block.unallocated, ...ordinals],
    sequenceNumber: block.sequenceNumber + 1,
    sequenceNumberForAllocation: Object.fromEntries(numbers.filter(([ordinal]) => !freed.has(Number(ordinal)))),
  });
}

function coolDown(block: Block, ordinals: readonly number[], now: number): Block {
  const index = block.attributes.length;
  const sequenceNumber = block.sequenceNumber + 1;
  const cooling = new Set(ordinals);
  const attribute = { handle: undefined, attributes: {}, releasedAt: new Date(now).toISOString() };
  return dropUnusedAttributes({
    ...block,
    allocations: block.allocations.map((was, ordinal) => (cooling.has(ordinal) ? index : was)),
    attributes: [...block.attributes, attribute],
    sequenceNumber,
    sequenceNumberForAllocation: { ...block.sequenceNumberForAllocation, ...numbered(ordinals, sequenceNumber) },
  });
}

/**
 * Frees what has rested long enough, the longest rest first. A release time that cannot be read, or that lies further ahead
 * than a rest takes (a clock was wrong), counts as long ago: an address must not be lost for good.
 */
function endCooldown(block: Block, cooldownSeconds: number, now: number): Block {
  const rested = new Map<number, number>();
  for (const [index, { handle, releasedAt }] of block.attributes.entries()) {
    const since = Date.parse(releasedAt ?? '');
    const restMs = cooldownSeconds * 1000;
    if (handle === undefined && !(since + restMs > now && since <= now + restMs)) {
      rested.set(index, Number.isNaN(since) ? 0 : since);
    }
  }
  if (rested.size === 0) {
    return block;
  }
  const restedAt = (ordinal: number): number => rested.get(block.allocations[ordinal] ?? -1) ?? 0;
  const ordinals = ordinalsWhere(block, (index) => rested.has(index));
  return free(
    block,
    ordinals.toSorted((a, b) => restedAt(a) - restedAt(b)),
  );
}

function ordinalsWhere(block: Block, isWanted: (index: number) => boolean): readonly number[] {
  const ordinals: number[] = [];
  for (const [ordinal, index] of block.allocations.entries()) {
    if (index !== null && isWanted(index)) {
      ordinals.push(ordinal);
    }
  }
  return ordinals;
}

function numbered(ordinals: readonly number[], sequenceNumber: number): Readonly<Record<string, number>> {
  return Object.fromEntries(ordinals.map((ordinal) => [String(ordinal), sequenceNumber]));
}

function dropUnusedAttributes(block: Block): Block {
  const used = new Set(block.allocations.filter((index) => index !== null));
  const moved = new Map<number, number>();
  for (const index of block.attributes.keys()) {
    if (used.has(index)) {
      moved.set(index, moved.size);
    }
  }
  return {
    ...block,
    allocations: block.allocations.map((index) => (index === null ? null : (moved.get(index) ?? null))),
    attributes: block.attributes.filter((_, index) => used.has(index)),
  };
}

/** What is structurally wrong with a block that came from outside; empty when nothing is. */
export function blockFaults(block: Block): readonly string[] {
  const faults: string[] = [];
  const size = addressCount(block.cidr);
  if (BigInt(block.allocations.length) !== size) {
    return [`allocations: ${block.allocations.length} entries, expected ${size} for ${block.cidr}`];
  }
  const free = new Set(block.unallocated);
  if (free.size !== block.unallocated.length) {
    faults.push('unallocated: an ordinal occurs twice, expected each free ordinal once');
  }
  for (const ordinal of free) {
    if (block.allocations[ordinal] === undefined) {
      faults.push(`unallocated: ordinal ${ordinal} is outside ${block.cidr}`);
    }
  }
  for (const [ordinal, index] of block.allocations.entries()) {
    if ((index === null) !== free.has(ordinal)) {
      faults.push(
        `allocations: ordinal ${ordinal} is ${index === null ? 'neither held nor free' : 'both held and free'}`,
      );
    } else if (index !== null && block.attributes[index] === undefined) {
      faults.push(
        `allocations: ordinal ${ordinal} points at attribute ${index}, expected less than ${block.attributes.length}`,
      );
    }
  }
  return faults;
}
