/**
 * Is a policy fit to be used? Policies come from people and from other processes; a bad one must not half work.
 *
 * Pure. The answer names the rule, the field and what was expected; the speaker then keeps the last valid policy.
 */
import { familyOf, type Ip, isIp, maxLength, type Prefix, prefixFamily, prefixLength, tryParsePrefix } from '#net';
import type { LargeCommunity } from '../wire/attribute/attributes.ts';
import type { RouteChanges } from './changes.ts';
import type { AsPathMatch, PolicyRule, PrefixRange, RouteKind, RoutePolicy } from './policy.ts';

const MAX_U32 = 0xffff_ffff;
/** Longer prepending is a mistake, and some speakers refuse such paths. */
const MAX_PREPEND = 32;
const KINDS: readonly RouteKind[] = ['local', 'ebgp', 'ibgp'];

/** What is wrong with it, undefined when nothing is. */
export function findPolicyFault(policy: RoutePolicy): string | undefined {
  if (!isAction(policy.default)) return `default is ${policy.default}, expected accept or reject`;
  for (const rule of policy.rules) {
    const fault = findRuleFault(rule);
    if (fault !== undefined) return `rule ${rule.name}: ${fault}`;
  }
  return undefined;
}

function findRuleFault({ action, match, set }: PolicyRule): string | undefined {
  if (!isAction(action)) return `action is ${action}, expected accept or reject`;
  return (
    first(match.prefixes, rangeFault) ??
    first(match.nextHops, nextHopFault) ??
    first(match.learnedFrom, (kind) => (KINDS.includes(kind) ? undefined : `route kind ${kind} is unknown`)) ??
    first(match.asPath, asPathFault) ??
    first(match.communities, communityFault) ??
    first(match.largeCommunities, largeFault) ??
    (set === undefined ? undefined : changesFault(set))
  );
}

function nextHopFault(text: string): string | undefined {
  return isIp(text) ? undefined : `next hop ${text} is no address`;
}

function isCanonical(text: string): boolean {
  return tryParsePrefix(text) === text;
}

function rangeFault({ prefix, minLength, maxLength: longest }: PrefixRange): string | undefined {
  if (!isCanonical(prefix)) return `prefix ${prefix} is not canonical`;
  const fits = isInteger(minLength, maxOf(prefix)) && isInteger(longest, maxOf(prefix));
  if (fits && minLength >= prefixLength(prefix) && minLength <= longest) return undefined;
  return `prefix ${prefix} lengths ${minLength} to ${longest}, expected ${prefixLength(prefix)} to ${maxOf(prefix)}`;
}

function asPathFault({ contains, originatedBy, startsWith = [], maxLength: longest }: AsPathMatch): string | undefined {
  const asns = [contains, originatedBy, ...startsWith].filter((as) => as !== undefined);
  return (
    first(asns, asFault) ??
    (longest === undefined || isInteger(longest, MAX_U32) ? undefined : `as path length ${longest} is no count`)
  );
}

function changesFault(set: RouteChanges): string | undefined {
  const { localPref = 0, med = 0, prepend = [], nextHop } = set;
  if (!isInteger(localPref, MAX_U32)) return `local preference ${localPref}, expected 0 to ${MAX_U32}`;
  if (!isInteger(med, MAX_U32)) return `med ${med}, expected 0 to ${MAX_U32}`;
  if (prepend.length > MAX_PREPEND) return `prepends ${prepend.length} times, expected at most ${MAX_PREPEND}`;
  if (nextHop !== undefined && nextHop !== 'self' && nextHop !== 'keep' && !isUsable(nextHop))
    return `next hop ${nextHop}, expected an address, self or keep`;
  return (
    first(prepend, asFault) ??
    first([...(set.addCommunities ?? []), ...(set.removeCommunities ?? [])], communityFault) ??
    first([...(set.addLargeCommunities ?? []), ...(set.removeLargeCommunities ?? [])], largeFault)
  );
}

function asFault(as: number): string | undefined {
  return as !== 0 && isInteger(as, MAX_U32) ? undefined : `AS ${as}, expected 1 to ${MAX_U32}`;
}

function communityFault(value: number): string | undefined {
  return isInteger(value, MAX_U32) ? undefined : `community ${value} is no 32-bit number`;
}

function largeFault({ global, local1, local2 }: LargeCommunity): string | undefined {
  const fits = [global, local1, local2].every((part) => isInteger(part, MAX_U32));
  return fits ? undefined : `large community ${global}:${local1}:${local2} is not three 32-bit numbers`;
}

function first<T>(list: readonly T[] | undefined, faultOf: (item: T) => string | undefined): string | undefined {
  for (const item of list ?? []) {
    const fault = faultOf(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function isAction(value: string): boolean {
  return value === 'accept' || value === 'reject';
}

function isInteger(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function isUsable(ip: Ip): boolean {
  return isIp(ip) && ip !== (familyOf(ip) === 4 ? '0.0.0.0' : '::');
}

function maxOf(prefix: Prefix): number {
  return maxLength(prefixFamily(prefix));
}
