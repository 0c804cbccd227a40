/**
 * What a policy rule may change on a route it accepts, and the memory that keeps equal routes equal.
 *
 * Pure. Attributes are shared by thousands of routes and packed by identity, so a change is made once per attribute set
 * and rule, never once per route.
 */
import type { Ip } from '#net';
import type { LargeCommunity, PathAttributes } from '../wire/attribute/attributes.ts';
import { prependAs } from '../wire/attribute/prepend.ts';

/** Everything absent stays as it is. */
export interface RouteChanges {
  readonly localPref?: number;
  readonly med?: number;
  /** Put in front of the path in this order; towards another AS our own AS stays in front of them. */
  readonly prepend?: readonly number[];
  readonly addCommunities?: readonly number[];
  readonly removeCommunities?: readonly number[];
  readonly addLargeCommunities?: readonly LargeCommunity[];
  readonly removeLargeCommunities?: readonly LargeCommunity[];
  /** `self` and `keep` are for export only; an address counts for routes of its family. */
  readonly nextHop?: Ip | 'self' | 'keep';
}

/** The attributes after the changes; the next hop is not one of them. */
export function changeAttributes(attributes: PathAttributes, changes: RouteChanges): PathAttributes {
  const { communities, largeCommunities } = attributes;
  return {
    ...attributes,
    localPref: changes.localPref ?? attributes.localPref,
    med: changes.med ?? attributes.med,
    asPath: prependAs(attributes.asPath, changes.prepend ?? []),
    communities: changeCommunities(communities, changes),
    largeCommunities: changeLargeCommunities(largeCommunities, changes),
  };
}

function changeCommunities(list: readonly number[], changes: RouteChanges): readonly number[] {
  const { addCommunities: add = [], removeCommunities: remove = [] } = changes;
  if (add.length === 0 && remove.length === 0) return list;
  return [...new Set([...list.filter((value) => !remove.includes(value)), ...add])];
}

function changeLargeCommunities(list: readonly LargeCommunity[], changes: RouteChanges): readonly LargeCommunity[] {
  const { addLargeCommunities: add = [], removeLargeCommunities: remove = [] } = changes;
  if (add.length === 0 && remove.length === 0) return list;
  const kept = list.filter((value) => !includesLarge(remove, value));
  return [...kept, ...add.filter((value) => !includesLarge(kept, value))];
}

export function includesLarge(list: readonly LargeCommunity[], wanted: LargeCommunity): boolean {
  const { global, local1, local2 } = wanted;
  return list.some((value) => value.global === global && value.local1 === local1 && value.local2 === local2);
}

/** Remembers what attributes became, by the object that changed them: a rule, a session, a constant. */
export class AttributeMemo {
  readonly #made = new WeakMap<object, WeakMap<PathAttributes, PathAttributes>>();

  derive(attributes: PathAttributes, by: object, make: () => PathAttributes): PathAttributes {
    let known = this.#made.get(by);
    if (known === undefined) {
      known = new WeakMap();
      this.#made.set(by, known);
    }
    const before = known.get(attributes);
    if (before !== undefined) return before;
    const made = make();
    known.set(attributes, made);
    return made;
  }

  change(attributes: PathAttributes, changes: RouteChanges | undefined): PathAttributes {
    if (changes === undefined) return attributes;
    return this.derive(attributes, changes, () => changeAttributes(attributes, changes));
  }
}
