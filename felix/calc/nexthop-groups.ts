/**
 * Nexthop objects (rtnetlink RTM_NEWNEXTHOP): which this node should have, and under which ids. Every learned route points
 * at a group, even of one (a group can never become a single next hop), one group per set of BGP next hops and family; a
 * group's members are what the set resolves to. So a gateway that changes is one write and moves all its routes at once.
 * Pure. Invariant: an id is a function of what it stands for, so an agent that starts again finds its routes right; where
 * two hash alike the later one takes the next free id, which a restart may decide otherwise and then writes anew.
 */
import type { Family, Ip } from '#net';
import type { NextHop } from '../iproute2/route.ts';
import type { NextHopResolver } from './next-hop.ts';

/** One object of the kernel: a gateway on a device, or a group of such. */
export interface NexthopObject {
  readonly id: number;
  readonly protocol: number;
  /** Absent for a group, and for an object of somebody else's that is neither. */
  readonly hop: NextHop | undefined;
  /** Ids, in ascending order; empty unless a group. */
  readonly members: readonly number[];
}

/** Why a set of next hops cannot be used, or the group it is. */
export type GroupAnswer = { readonly id: number } | { readonly reason: string };

interface Group {
  readonly id: number;
  readonly key: string;
  readonly nextHops: readonly Ip[];
  users: number;
}

/** Ids of ours are 0x5000_0000 to 0x5fff_ffff: daemons that count from 1 (FRR, systemd-networkd) do not come near. */
const FIRST_ID = 0x5000_0000;
const ID_MASK = 0x0fff_ffff;

/** Whether an id is in our range. */
export function isGroupId(id: number): boolean {
  return id >= FIRST_ID && id <= FIRST_ID + ID_MASK;
}

export function sameNexthop(a: NexthopObject, b: NexthopObject): boolean {
  return (
    a.protocol === b.protocol &&
    a.members.join() === b.members.join() &&
    (a.hop === undefined ? b.hop === undefined : b.hop !== undefined && hopKey(a.hop) === hopKey(b.hop))
  );
}

/** The groups that routes want, and what they resolve to now. */
export class NexthopGroups {
  readonly #protocol: number;
  readonly #byKey = new Map<string, Group>();
  readonly #byId = new Map<number, Group>();
  /** Id → what it stands for, groups and their members alike. */
  readonly #ids = new Map<number, string>();
  readonly #answers = new Map<string, GroupAnswer>();
  #resolver: NextHopResolver;
  /** Whether `wanted()` may differ from its last answer. */
  changed = true;

  constructor(protocol: number, resolver: NextHopResolver) {
    this.#protocol = protocol;
    this.#resolver = resolver;
  }

  /** Takes another underlay; true when a set became usable or unusable, so that its routes must be looked at again. */
  resolveBy(resolver: NextHopResolver): boolean {
    const before = new Map(this.#answers);
    this.#resolver = resolver;
    this.#answers.clear();
    this.changed = true;
    return [...before].some(([key, answer]) => {
      const group = this.#byKey.get(key);
      return group === undefined || 'id' in answer !== 'id' in this.#answer(group);
    });
  }

  /** The group of a route's next hops. */
  groupFor(family: Family, nextHops: readonly Ip[]): GroupAnswer {
    const [only] = nextHops;
    const key = `${family} ${nextHops.length === 1 ? only : nextHops.toSorted().join(' ')}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    let group = this.#byKey.get(key);
    if (group === undefined) {
      group = { id: this.#idOf(key), key, nextHops, users: 0 };
      this.#byKey.set(key, group);
      this.#byId.set(group.id, group);
    }
    return this.#answer(group);
  }

  /** One more (or fewer) route points at a group. */
  count(id: number, by: 1 | -1): void {
    const group = this.#byId.get(id);
    if (group === undefined) return;
    if (group.users === 0 || group.users + by === 0) this.changed = true;
    group.users += by;
  }

  /** Every object wanted now, members before groups; forgets the groups without a route. */
  wanted(): ReadonlyMap<number, NexthopObject> {
    this.changed = false;
    const hops = new Map<number, NexthopObject>();
    const groups = new Map<number, NexthopObject>();
    for (const group of this.#byId.values()) {
      const resolution = group.users === 0 ? undefined : this.#resolver.resolveAll(group.nextHops);
      if (resolution === undefined || 'reason' in resolution || resolution.dead) continue;
      const members = resolution.hops.map((hop) => {
        const id = this.#idOf(hopKey(hop));
        hops.set(id, { id, protocol: this.#protocol, hop, members: [] });
        return id;
      });
      const { id } = group;
      groups.set(id, { id, protocol: this.#protocol, hop: undefined, members: members.toSorted((a, b) => a - b) });
    }
    return new Map([...hops, ...groups]);
  }

  /** Says that these are gone from the kernel, so that their ids are free. */
  forget(ids: Iterable<number>): void {
    for (const id of ids) {
      const group = this.#byId.get(id);
      if (group !== undefined && group.users > 0) continue;
      if (group !== undefined) {
        this.#byKey.delete(group.key);
        this.#answers.delete(group.key);
      }
      this.#byId.delete(id);
      this.#ids.delete(id);
    }
  }

  #answer(group: Group): GroupAnswer {
    const resolution = this.#resolver.resolveAll(group.nextHops);
    const answer: GroupAnswer =
      'reason' in resolution
        ? resolution
        : resolution.dead
          ? // The kernel refuses a nexthop object there, and drops those it had.
            { reason: `no link towards ${group.nextHops.join(', ')} has a carrier` }
          : { id: group.id };
    this.#answers.set(group.key, answer);
    return answer;
  }

  #idOf(meaning: string): number {
    let id = FIRST_ID | (hash(meaning) & ID_MASK);
    for (;;) {
      const holder = this.#ids.get(id);
      if (holder === meaning) return id;
      if (holder === undefined) {
        this.#ids.set(id, meaning);
        return id;
      }
      id = FIRST_ID | ((id + 1) & ID_MASK);
    }
  }
}

function hopKey(hop: NextHop): string {
  return `${hop.gateway ?? ''}%${hop.device}${hop.onlink ? '!' : ''}`;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
