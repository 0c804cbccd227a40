/**
 * Who may connect: peers by address, and ranges that admit peers not named one by one.
 *
 * Pure. Two peers may share a remote address when they differ in local address or device, since a connection tells
 * all three; a connection is matched by the most specific of them. What cannot be told apart is refused here, and so is a
 * peer without a key inside a range that has one: the kernel would drop its segments without a word.
 */
import { contains, containsIp, hostPrefix, type Ip, type Prefix, prefixLength } from '#net';
import { findPolicyFault } from './policy/check.ts';
import { REJECT_ALL, type RoutePolicy } from './policy/policy.ts';
import type { PeerSpec } from './speaker-types.ts';

const MAX_KEY_BYTES = 80;
const MAX_TTL = 255;
const DEFAULT_RANGE_LIMIT = 256;

/** What a connection tells about itself. */
export interface Endpoint {
  readonly remote: Ip;
  readonly local: Ip | undefined;
  readonly device?: string | undefined;
}

export interface CheckedPeers {
  readonly peers: ReadonlyMap<string, PeerSpec>;
  readonly ranges: ReadonlyMap<string, PeerSpec>;
  /** By name of the peer or range, why it may have no session. */
  readonly refused: ReadonlyMap<string, string>;
  /** Not even configured: another one already stands for the same connections. */
  readonly taken: readonly { readonly spec: PeerSpec; readonly owner: string }[];
}

/** Sorts a configuration into peers and ranges, and finds what can never work. */
export function checkPeers(specs: readonly PeerSpec[]): CheckedPeers {
  const owners = new Map<string, string>();
  const peers = new Map<string, PeerSpec>();
  const ranges = new Map<string, PeerSpec>();
  const taken: { spec: PeerSpec; owner: string }[] = [];
  for (const spec of specs) {
    const key = [spec.range ?? spec.address, spec.localAddress ?? '*', spec.interface ?? '*'].join(' ');
    const owner = owners.get(key);
    if (owner !== undefined) taken.push({ spec, owner });
    else {
      owners.set(key, spec.name);
      (spec.range === undefined ? peers : ranges).set(spec.name, spec);
    }
  }
  const refused = new Map<string, string>();
  for (const spec of [...peers.values(), ...ranges.values()]) {
    const fault = optionFault(spec) ?? keylessFault(spec, [...ranges.values()]);
    if (fault !== undefined) refused.set(spec.name, fault);
  }
  return { peers, ranges, refused, taken };
}

function optionFault({ password, ttlSecurity, ttl }: PeerSpec): string | undefined {
  if (password !== undefined) {
    const { length } = new TextEncoder().encode(password);
    if (length === 0 || length > MAX_KEY_BYTES)
      return `password is ${length} bytes long, expected 1 to ${MAX_KEY_BYTES}`;
  }
  if (ttlSecurity !== undefined && !isCount(ttlSecurity))
    return `ttl security of ${ttlSecurity} hops, expected 1 to ${MAX_TTL}`;
  if (ttl !== undefined && !isCount(ttl)) return `ttl ${ttl}, expected 1 to ${MAX_TTL}`;
  if (ttl !== undefined && ttlSecurity !== undefined) return 'ttl and ttl security exclude each other';
  return undefined;
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= MAX_TTL;
}

function keylessFault(spec: PeerSpec, ranges: readonly PeerSpec[]): string | undefined {
  if (spec.password !== undefined) return undefined;
  const own = spec.range ?? hostPrefix(spec.address);
  const keyed = ranges.find((other) => other.password !== undefined && inside(own, other.range));
  return keyed === undefined ? undefined : `no password inside range ${keyed.range}, which has one`;
}

function inside(inner: Prefix, outer: Prefix | undefined): boolean {
  return outer !== undefined && contains(outer, inner);
}

/** The peer a connection belongs to, among those given: local address and device must not contradict. */
export function matchPeer(candidates: Iterable<PeerSpec>, at: Endpoint): PeerSpec | undefined {
  return mostSpecific([...candidates].filter((spec) => spec.address === at.remote && fits(spec, at)));
}

/** The range that admits a connection no peer is named for: the narrowest. */
export function matchRange(ranges: Iterable<PeerSpec>, at: Endpoint): PeerSpec | undefined {
  const admitting = [...ranges].filter(
    (spec) => spec.range !== undefined && containsIp(spec.range, at.remote) && fits(spec, at),
  );
  const longest = Math.max(...admitting.map(lengthOf));
  return mostSpecific(admitting.filter((spec) => lengthOf(spec) === longest));
}

function lengthOf({ range }: PeerSpec): number {
  return range === undefined ? -1 : prefixLength(range);
}

function fits({ localAddress, interface: device }: PeerSpec, at: Endpoint): boolean {
  if (localAddress !== undefined && at.local !== undefined && at.local !== localAddress) return false;
  return device === undefined || at.device === undefined || device === at.device;
}

function mostSpecific(specs: readonly PeerSpec[]): PeerSpec | undefined {
  const weight = ({ localAddress, interface: device }: PeerSpec): number =>
    Number(localAddress !== undefined) * 2 + Number(device !== undefined);
  return specs.toSorted((a, b) => weight(b) - weight(a))[0];
}

/** The peer a range makes of an address in it. */
export function admittedPeer(range: PeerSpec, remote: Ip): PeerSpec {
  const { range: _range, rangeLimit: _limit, ...spec } = range;
  return { ...spec, name: `${range.name}/${remote}`, address: remote, passive: true };
}

/** Peers a range admits at a time. */
export function rangeLimitOf({ rangeLimit }: PeerSpec): number {
  return rangeLimit ?? DEFAULT_RANGE_LIMIT;
}

/** Keys the listeners must hold, by where the peers are. */
export function keysOf(specs: Iterable<PeerSpec>): ReadonlyMap<Prefix, string> {
  const keys = new Map<Prefix, string>();
  for (const { range, address, password } of specs) {
    if (password !== undefined) keys.set(range ?? hostPrefix(address), password);
  }
  return keys;
}

/** The configuration with every policy that cannot work replaced by the last that could, or by none at all. */
export function withValidPolicies(spec: PeerSpec, before: PeerSpec | undefined): ValidPolicies {
  const faults: string[] = [];
  const valid = (side: 'import' | 'export'): RoutePolicy => {
    const fault = findPolicyFault(spec[side]);
    if (fault === undefined) return spec[side];
    faults.push(`${side} policy: ${fault}`);
    return before?.[side] ?? REJECT_ALL;
  };
  const policies = { import: valid('import'), export: valid('export') };
  if (faults.length === 0) return { spec, fault: undefined };
  return { spec: { ...spec, ...policies }, fault: faults.join('; ') };
}

interface ValidPolicies {
  readonly spec: PeerSpec;
  readonly fault: string | undefined;
}
