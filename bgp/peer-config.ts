/**
 * The peers there shall be, as last configured and as ranges have admitted them since.
 *
 * Pure but for the log: what cannot be used is said once, and the last valid policy of a peer stays in use.
 */
import { admittedPeer, checkPeers, type Endpoint, matchPeer, matchRange, withValidPolicies } from './peer-table.ts';
import type { PeerSpec, SpeakerLog } from './speaker-types.ts';

/** A peer that came from a range, and which. */
export interface Admitted {
  readonly spec: PeerSpec;
  readonly range: string | undefined;
}

export class PeerConfig {
  readonly #log: SpeakerLog;
  /** Those configured and those a range has admitted. */
  #specs = new Map<string, PeerSpec>();
  #ranges: ReadonlyMap<string, PeerSpec> = new Map();
  #refused: ReadonlyMap<string, string> = new Map();
  #policyFaults: ReadonlyMap<string, string> = new Map();

  constructor(log: SpeakerLog) {
    this.#log = log;
  }

  get specs(): ReadonlyMap<string, PeerSpec> {
    return this.#specs;
  }

  get ranges(): ReadonlyMap<string, PeerSpec> {
    return this.#ranges;
  }

  /** Why this peer or range contradicts itself or another. */
  refused(name: string): string | undefined {
    return this.#refused.get(name);
  }

  policyFault(name: string): string | undefined {
    return this.#policyFaults.get(name);
  }

  /** The peers as they now shall be, admitted ones as their range now says; those of a range that is gone are not. */
  configure(peers: readonly PeerSpec[], admitted: Iterable<Admitted>): ReadonlyMap<string, PeerSpec> {
    const checked = checkPeers(this.#withValidPolicies(peers));
    for (const { spec, owner } of checked.taken) {
      this.#log.error('peer ignored: address taken', { peer: spec.name, address: spec.address, owner });
    }
    this.#ranges = checked.ranges;
    this.#refused = checked.refused;
    this.#specs = new Map(checked.peers);
    for (const { range, spec } of admitted) {
      const from = range === undefined ? undefined : checked.ranges.get(range);
      if (from !== undefined && !this.#isNamed(spec)) this.admit(admittedPeer(from, spec.address));
    }
    return this.#specs;
  }

  admit(spec: PeerSpec): void {
    this.#specs.set(spec.name, spec);
  }

  forget(name: string): void {
    this.#specs.delete(name);
  }

  /** The peer a connection is for, or the range that would make one of it. */
  match(at: Endpoint): { readonly spec?: PeerSpec; readonly range?: PeerSpec } | undefined {
    const spec = matchPeer(this.#specs.values(), at);
    if (spec !== undefined) return { spec };
    const range = matchRange(this.#ranges.values(), at);
    return range === undefined ? undefined : { range };
  }

  /** A peer named one by one takes the place of the one its range admitted. */
  #isNamed({ address }: PeerSpec): boolean {
    for (const spec of this.#specs.values()) if (spec.address === address) return true;
    return false;
  }

  #withValidPolicies(peers: readonly PeerSpec[]): readonly PeerSpec[] {
    const faults = new Map<string, string>();
    const valid = peers.map((given) => {
      const before = this.#specs.get(given.name) ?? this.#ranges.get(given.name);
      const { spec, fault } = withValidPolicies(given, before);
      if (fault !== undefined) faults.set(spec.name, fault);
      return spec;
    });
    for (const [peer, reason] of faults) {
      if (this.policyFault(peer) === reason) continue;
      this.#log.error('policy refused, last valid one stays', { peer, reason });
    }
    this.#policyFaults = faults;
    return valid;
  }
}
