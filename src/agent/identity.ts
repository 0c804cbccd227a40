// Who this agent is: node name, addresses, AS number, router id, listen port. Fixed for the life of the process.
//
// The BGP speaker is built on it, so a change of any of them ends the agent (code 75), and its supervisor starts it with
// the new values; the kernel and graceful restart carry the traffic over. Pure.
import { familyOf, ipFromBytes, type Ip } from '#net';
import type { Addresses, ClusterView, NodeObject } from './cluster-view.ts';
import { asOf, ownAddresses, type LocalInterfaces } from './node.ts';

export interface Identity {
  readonly node: NodeObject;
  readonly addresses: Addresses;
  readonly as: number;
  readonly routerId: Ip;
  readonly listenPort: number;
  /** The addresses were found, not told: others learn them from the annotation only. */
  readonly detected: boolean;
}

export type IdentityResult =
  | { readonly ok: true; readonly identity: Identity; readonly faults: readonly string[] }
  | { readonly ok: false; readonly fault: string };

/** Works out who we are, or why that cannot be told yet. */
export function identify(name: string, view: ClusterView | undefined, local: LocalInterfaces): IdentityResult {
  if (view === undefined) return { ok: false, fault: 'the Kubernetes API has not been read yet' };
  const node = view.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) return { ok: false, fault: `there is no Node "${name}"; register it or set MANX_NODE_NAME` };
  const { addresses, faults, detected } = ownAddresses(node, local);
  const [first] = Object.values(addresses);
  if (first === undefined) return { ok: false, fault: faults.join('; ') };
  const { as, fault } = asOf(node, view.bgp.as);
  const identity: Identity = {
    node,
    addresses,
    as,
    routerId: addresses[4] ?? routerIdFromName(name),
    listenPort: view.bgp.listenPort,
    detected,
  };
  return { ok: true, identity, faults: fault === undefined ? faults : [...faults, fault] };
}

/** What changed between two identities, in words; undefined when the speaker need not know. */
export function identityChange(before: Identity, after: Identity): string | undefined {
  const rows: readonly (readonly [string, unknown, unknown])[] = [
    ['IPv4 address', before.addresses[4], after.addresses[4]],
    ['IPv6 address', before.addresses[6], after.addresses[6]],
    ['AS number', before.as, after.as],
    ['listenPort', before.listenPort, after.listenPort],
  ];
  const changed = rows.filter(([, was, is]) => was !== is);
  return changed.length === 0
    ? undefined
    : changed.map(([what, was, is]) => `${what} ${String(was)} → ${String(is)}`).join(', ');
}

/** A router id for a node without IPv4: 32 bits of FNV-1a of its name, never 0 (RFC 6286 §2.1 asks for any non-zero value). */
export function routerIdFromName(name: string): Ip {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  const value = hash === 0 ? 1 : hash;
  return ipFromBytes(Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255));
}

/** Own addresses, IPv4 first. */
export function addressList(addresses: Addresses): readonly Ip[] {
  return Object.values(addresses).toSorted((a, b) => familyOf(a) - familyOf(b));
}
