/**
 * Route policy as data: the first rule that matches decides, else the default. Every verdict names the rule, so that a
 * refused route can say why and rules can be counted; an accepted one may carry changes (changes.ts).
 *
 * Pure. A policy crosses the worker thread by structured clone, hence no functions in it.
 */
import { contains, type Ip, type Prefix, prefixFamily, prefixLength } from '#net';
import {
  type AsSegment,
  EMPTY_ATTRIBUTES,
  type LargeCommunity,
  type PathAttributes,
} from '../wire/attribute/attributes.ts';
import { includesLarge, type RouteChanges } from './changes.ts';

/** Prefixes inside `prefix` whose length is between the two bounds, both included. */
export interface PrefixRange {
  readonly prefix: Prefix;
  readonly minLength: number;
  readonly maxLength: number;
}

/** All conditions given must hold; `startsWith` counts from the peer's side, `originatedBy` is the other end. */
export interface AsPathMatch {
  readonly contains?: number;
  readonly originatedBy?: number;
  readonly startsWith?: readonly number[];
  /** A set counts as one. */
  readonly maxLength?: number;
}

/** Where a route comes from: ourselves, another AS, or our own. */
export type RouteKind = 'local' | 'ebgp' | 'ibgp';

/** All conditions given must hold; of each list one. */
export interface RouteMatch {
  readonly prefixes?: readonly PrefixRange[];
  readonly nextHops?: readonly Ip[];
  readonly asPath?: readonly AsPathMatch[];
  /** RFC 1997, 32-bit numbers. */
  readonly communities?: readonly number[];
  readonly largeCommunities?: readonly LargeCommunity[];
  readonly learnedFrom?: readonly RouteKind[];
}

export interface PolicyRule {
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: 'accept' | 'reject';
  /** Made to a route this rule accepts. */
  readonly set?: RouteChanges;
}

export interface RoutePolicy {
  readonly rules: readonly PolicyRule[];
  readonly default: 'accept' | 'reject';
}

export const ACCEPT_ALL: RoutePolicy = { rules: [], default: 'accept' };
export const REJECT_ALL: RoutePolicy = { rules: [], default: 'reject' };

export interface PolicyVerdict {
  readonly action: 'accept' | 'reject';
  /** Name of the rule that decided, or `default`. */
  readonly rule: string;
}

/** What rules look at. */
export interface RouteFacts {
  readonly prefix: Prefix;
  readonly nextHop: Ip | undefined;
  readonly attributes: PathAttributes;
  readonly learnedFrom: RouteKind;
}

export interface RouteVerdict extends PolicyVerdict {
  readonly set: RouteChanges | undefined;
}

/** What the policy says about a route of our own that has no attributes yet. */
export function evaluate(policy: RoutePolicy, prefix: Prefix, nextHop: Ip | undefined): PolicyVerdict {
  const { action, rule } = evaluateRoute(policy, {
    prefix,
    nextHop,
    attributes: EMPTY_ATTRIBUTES,
    learnedFrom: 'local',
  });
  return { action, rule };
}

/** What the policy says about one route, and what to change on it. */
export function evaluateRoute(policy: RoutePolicy, route: RouteFacts): RouteVerdict {
  for (const { name, match, action, set } of policy.rules) {
    if (matchesRoute(match, route)) return { action, rule: name, set: action === 'accept' ? set : undefined };
  }
  return { action: policy.default, rule: 'default', set: undefined };
}

/** RFC 8212: a policy that has no rule and accepts everything is none. */
export function saysNothing(policy: RoutePolicy): boolean {
  return policy.rules.length === 0 && policy.default === 'accept';
}

function matchesRoute(match: RouteMatch, route: RouteFacts): boolean {
  const { prefix, nextHop, attributes } = route;
  if (match.prefixes !== undefined && !match.prefixes.some((range) => inRange(range, prefix))) return false;
  if (match.nextHops !== undefined && (nextHop === undefined || !match.nextHops.includes(nextHop))) return false;
  if (match.learnedFrom !== undefined && !match.learnedFrom.includes(route.learnedFrom)) return false;
  if (match.asPath !== undefined && !match.asPath.some((path) => matchesAsPath(path, attributes.asPath))) return false;
  if (match.communities !== undefined && !match.communities.some((value) => attributes.communities.includes(value)))
    return false;
  return (
    match.largeCommunities === undefined ||
    match.largeCommunities.some((value) => includesLarge(attributes.largeCommunities, value))
  );
}

function matchesAsPath(match: AsPathMatch, segments: readonly AsSegment[]): boolean {
  if (match.contains !== undefined && !segments.some(({ asns }) => asns.includes(match.contains ?? 0))) return false;
  if (match.originatedBy !== undefined && originOf(segments) !== match.originatedBy) return false;
  if (match.startsWith !== undefined && !startsWith(segments, match.startsWith)) return false;
  return match.maxLength === undefined || lengthOf(segments) <= match.maxLength;
}

/** The last AS of a path that ends in a sequence; behind a set nobody knows. */
function originOf(segments: readonly AsSegment[]): number | undefined {
  const last = segments.at(-1);
  return last?.kind === 'sequence' ? last.asns.at(-1) : undefined;
}

function startsWith(segments: readonly AsSegment[], wanted: readonly number[]): boolean {
  const known: number[] = [];
  for (const { kind, asns } of segments) {
    if (kind === 'set' || known.length >= wanted.length) break;
    known.push(...asns);
  }
  return wanted.every((as, index) => known[index] === as);
}

function lengthOf(segments: readonly AsSegment[]): number {
  return segments.reduce((sum, { kind, asns }) => sum + (kind === 'set' ? 1 : asns.length), 0);
}

function inRange(range: PrefixRange, prefix: Prefix): boolean {
  const length = prefixLength(prefix);
  if (length < range.minLength || length > range.maxLength) return false;
  return prefixFamily(prefix) === prefixFamily(range.prefix) && contains(range.prefix, prefix);
}
