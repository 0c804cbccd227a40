/**
 * The speaker's ears: its listeners, what protects them, and how often one source may knock.
 *
 * Keys and TTLs belong to the listening sockets, so they are set here for all peers at once; a listener that cannot be
 * protected answers with a reason, and the peers that need it get no session.
 */
import { hostPrefix, type Ip, type Prefix } from '#net';
import { keysOf } from './peer-table.ts';
import { RateLimit } from './session/rate-limit.ts';
import type { ListenAddress, Listener, Protection, Transport, Wire } from './session/transport.ts';
import type { PeerSpec } from './speaker-types.ts';

const KNOCKS = { burst: 20, perSec: 2, sources: 4096 } as const;
const NO_OPTIONS = 'this listener has no socket options';

export class Listening {
  readonly #transport: Transport;
  readonly #knocks = new RateLimit(KNOCKS);
  #listeners: readonly Listener[] = [];
  #faults: ReadonlyMap<Prefix | 'ttl', string> = new Map();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Opens all or none · rejects with SpeakerError. */
  async open(addresses: readonly ListenAddress[], accept: (wire: Wire) => void): Promise<void> {
    const results = await Promise.allSettled(addresses.map((at) => this.#transport.listen(at, accept)));
    this.#listeners = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    this.close();
    throw failed.reason;
  }

  close(): void {
    for (const listener of this.#listeners) listener.close();
    this.#listeners = [];
  }

  /** Whether this source may connect again already. */
  admits(source: Ip, nowMs: number): boolean {
    return this.#knocks.admit(source, nowMs);
  }

  /** From now on listen as these peers and ranges need it. */
  protect(specs: readonly PeerSpec[]): void {
    const keys = keysOf(specs);
    const fullTtl = specs.some(({ ttlSecurity }) => ttlSecurity !== undefined);
    const faults = new Map<Prefix | 'ttl', string>();
    for (const listener of this.#listeners) {
      for (const [what, fault] of protect(listener, { keys, fullTtl })) faults.set(what, fault);
    }
    this.#faults = faults;
  }

  /** Why connections from this peer, or range, could not be protected. */
  whyNot({ range, address, password, ttlSecurity }: PeerSpec): string | undefined {
    const key = password === undefined ? undefined : this.#faults.get(range ?? hostPrefix(address));
    return key ?? (ttlSecurity === undefined ? undefined : this.#faults.get('ttl'));
  }
}

function protect(listener: Listener, protection: Protection): ReadonlyMap<Prefix | 'ttl', string> {
  if (listener.protect !== undefined) return listener.protect(protection);
  const faults = new Map<Prefix | 'ttl', string>([...protection.keys.keys()].map((peers) => [peers, NO_OPTIONS]));
  return protection.fullTtl ? faults.set('ttl', NO_OPTIONS) : faults;
}
