/**
 * Route policy as data: the first rule that matches decides, else the default. Every verdict names the rule, so that a
 * refused route can say why and rules can be counted.
 *
 * Pure. A policy crosses the worker thread by structured clone, hence no functions in it.
 */
import { contains, type Ip, type Prefix, prefixFamily, prefixLength } from '#net';

/** Prefixes inside `prefix` whose length is between the two bounds, both included. */
export interface PrefixRange {
  readonly prefix: Prefix;
  readonly minLength: number;
  readonly maxLength: number;
}

export interface PolicyRule {
  readonly name: string;
  /** All conditions given must hold; one of each list. */
  readonly match: { readonly prefixes?: readonly PrefixRange[]; readonly nextHops?: readonly Ip[] };
  readonly action: 'accept' | 'reject';
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

/** What the policy says about one route. */
export function evaluate(policy: RoutePolicy, prefix: Prefix, nextHop: Ip | undefined): PolicyVerdict {
  for (const rule of policy.rules) {
    if (matchesRule(rule, prefix, nextHop)) return { action: rule.action, rule: rule.name };
  }
  return { action: policy.default, rule: 'default' };
}

function matchesRule({ match }: PolicyRule, prefix: Prefix, nextHop: Ip | undefined): boolean {
  if (match.prefixes !== undefined && !match.prefixes.some((range) => inRange(range, prefix))) return false;
  return match.nextHops === undefined || (nextHop !== undefined && match.nextHops.includes(nextHop));
}

function inRange(range: PrefixRange, prefix: Prefix): boolean {
  const length = prefixLength(prefix);
  if (length < range.minLength || length > range.maxLength) return false;
  return prefixFamily(prefix) === prefixFamily(range.prefix) && contains(range.prefix, prefix);
}
