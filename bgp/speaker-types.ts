/**
 * The public words of the speaker: what it is told, what it tells, and what it can be asked.
 *
 * All of it is plain data that survives a structured clone, because the speaker usually lives in a worker thread.
 */
import type { Family, Ip, Prefix } from '#net';
import type { Timers } from '#reconcile';
import type { PolicyRule, RoutePolicy } from './policy/policy.ts';
import type { LimitVerdict, PrefixLimit } from './policy/prefix-limit.ts';
import type { State } from './session/fsm.ts';
import type { ListenAddress, Transport } from './session/transport.ts';

export interface SpeakerConfig {
  readonly as: number;
  readonly routerId: Ip;
  readonly listen: readonly ListenAddress[];
  readonly gracefulRestart: {
    /** How long peers should keep our routes after we vanished, 0–4095 s. */
    readonly restartTimeSec: number;
    /** Our kernel routes survived: announce R and F bits · RFC 4724 §4.1. */
    readonly restarting: boolean;
    /** Longest wait for the peers' End-of-RIB before what we know counts as complete; default 60 s. */
    readonly deferralSec?: number;
  };
  /** This node's own addresses: a received route with one of them as next hop is a loop. */
  readonly addresses: readonly Ip[];
  /** Of the cluster we reflect routes in; default the router id · RFC 4456 §7. */
  readonly clusterId?: Ip;
  /** Peers in another AS need an import and an export policy with at least one rule or a rejecting default · RFC 8212. */
  readonly requireEbgpPolicy?: boolean;
  /** For peers without one of their own; default 2,000,000 received, then restart. */
  readonly prefixLimit?: PrefixLimit;
}

export interface PeerSpec {
  /** Stable key; renaming a peer resets it. */
  readonly name: string;
  readonly address: Ip;
  readonly port: number;
  readonly as: number;
  readonly localAddress?: Ip;
  /** Our AS towards this peer, where it differs from SpeakerConfig.as. */
  readonly localAs?: number;
  /** Never dial, only accept. */
  readonly passive: boolean;
  /** 0 (no KEEPALIVEs), or at least 3. */
  readonly holdTimeSec: number;
  readonly keepaliveSec?: number;
  /** Bound of a dial, and the longest pause between two. */
  readonly connectRetrySec: number;
  readonly families: readonly Family[];
  /** Next hop to announce, per family; absent = the session's local address, and for iBGP the learned next hop. */
  readonly nextHopSelf: Partial<Readonly<Record<Family, Ip>>>;
  /** For all routes, whatever their origin; absent = self for our own and towards another AS, learned ones are kept. */
  readonly nextHop?: 'self' | 'keep';
  readonly gracefulRestart: boolean;
  /** What it tells is told to all our iBGP peers, and it is told what they tell · RFC 4456. */
  readonly routeReflectorClient?: boolean;
  /** How often our own AS may stand in the path of a route from this peer; default 0. */
  readonly allowedLocalAs?: number;
  /** Refuse paths from another AS that do not begin with it; default true · RFC 4271 §6.3. */
  readonly enforceFirstAs?: boolean;
  /** Everything is announced with GRACEFUL_SHUTDOWN, so that traffic leaves us first · RFC 8326. */
  readonly gracefulShutdown?: boolean;
  /** Absent = SpeakerConfig.prefixLimit. */
  readonly prefixLimit?: PrefixLimit;
  /** Accept any address in it as a peer of its own (`name/address`); `address` then counts for nothing. Never dials. */
  readonly range?: Prefix;
  /** Peers a range admits at a time; default 256. */
  readonly rangeLimit?: number;
  /** TCP MD5 key, 1–80 bytes; a changed one is set on the running session · RFC 2385. */
  readonly password?: string;
  /** Hops the peer is away at most, 1 = same link; farther packets are not heard · RFC 5082. */
  readonly ttlSecurity?: number;
  /** TTL of what we send to a peer several hops away; excludes ttlSecurity. */
  readonly ttl?: number;
  /** Network device the session must use. */
  readonly interface?: string;
  readonly import: RoutePolicy;
  readonly export: RoutePolicy;
  readonly description?: string;
  readonly label: 'mesh' | 'configured';
}

export interface OriginatedRoute {
  readonly prefix: Prefix;
  readonly communities?: readonly number[];
}

export interface BestPathChange {
  readonly prefix: Prefix;
  /** Ascending; empty = no learned route any more. */
  readonly nextHops: readonly Ip[];
  readonly source: 'ibgp' | 'ebgp';
}

export interface BestPathBatch {
  readonly changes: readonly BestPathChange[];
  /** Everything the peers had to tell has been told: what is not known now may be removed from the kernel. */
  readonly inSync: boolean;
}

/** How often a policy rule decided, since the peer was configured. */
export interface RuleCount {
  readonly rule: string;
  readonly action: PolicyRule['action'];
  readonly count: number;
}

export interface PeerStatus {
  readonly name: string;
  readonly address: Ip;
  readonly as: number;
  readonly label: PeerSpec['label'];
  readonly description: string | undefined;
  readonly state: State;
  /** When the state was entered, milliseconds since 1970. */
  readonly sinceMs: number;
  /** The last transition in words. */
  readonly reason: string;
  readonly routerId: Ip | undefined;
  readonly received: number;
  readonly accepted: number;
  /** Received before the session was lost and not refreshed since · RFC 4724. */
  readonly stale: number;
  readonly advertised: number;
  /** How often an Established session ended. */
  readonly flaps: number;
  readonly importRules: readonly RuleCount[];
  /** Why there may be no session at all: what it asks for is not available, or contradicts another peer. */
  readonly refused?: string | undefined;
  /** Why the last policy given is not in use; the last valid one is. */
  readonly policyFault?: string | undefined;
  readonly prefixLimit?: PrefixLimit & { readonly state: LimitVerdict['state'] };
  /** Range that admitted it. */
  readonly admittedBy?: string | undefined;
  /** What protects the connection. */
  readonly security?: readonly ('md5' | 'gtsm' | 'device')[];
  readonly negotiated:
    | { readonly holdTimeSec: number; readonly families: readonly Family[]; readonly gracefulRestart: boolean }
    | undefined;
}

/** One path of a prefix for a looking glass. */
export interface PathView {
  /** PeerSpec.name, empty for our own route. */
  readonly peer: string;
  readonly source: 'local' | 'ebgp' | 'ibgp';
  readonly nextHop: Ip | undefined;
  readonly best: boolean;
  /** Used for forwarding, alone or beside the best one. */
  readonly used: boolean;
  readonly stale: boolean;
  /** Why it is not the best, or why it was refused; empty for the best. */
  readonly why: string;
  readonly asPath: string;
  readonly origin: 'igp' | 'egp' | 'incomplete';
  readonly localPref: number;
  readonly med: number | undefined;
  readonly communities: readonly number[];
}

export interface RouteView {
  readonly prefix: Prefix;
  readonly nextHops: readonly Ip[];
  readonly paths: readonly PathView[];
  /** Names of the peers that were told about it. */
  readonly advertisedTo: readonly string[];
}

export interface PeerChange {
  readonly peer: string;
  readonly from: State;
  readonly to: State;
  readonly reason: string;
}

export type ResetKind = 'soft-in' | 'soft-out' | 'hard';

export interface Speaker {
  /** Opens the listeners · rejects with SpeakerError. */
  start(): Promise<void>;
  /** `restart` closes TCP and says nothing, so that peers keep our routes; `shutdown` withdraws and sends Cease. */
  stop(mode: 'restart' | 'shutdown'): Promise<void>;
  /** The peers there shall be; touches only those that changed. */
  setPeers(peers: readonly PeerSpec[]): void;
  /**
   * Soft resets leave the session up: `soft-in` has the peer tell its routes again, `soft-out` tells it ours again;
   * `hard` starts the session anew and clears a prefix limit · resolves to false when there is no such peer.
   */
  reset(peer: string, kind: ResetKind): Promise<boolean>;
  /** The peer is known not to come back (its node is gone): what graceful restart kept of it goes now. */
  peerGone(peer: string): void;
  /** The routes of our own there shall be; End-of-RIB is sent only after the first call. */
  setOriginated(routes: readonly OriginatedRoute[]): void;
  peers(): Promise<readonly PeerStatus[]>;
  /** All prefixes known, refused ones too, in prefix order. */
  routes(): Promise<readonly RouteView[]>;
  onBestPaths(listener: (batch: BestPathBatch) => void): void;
  onPeerChange(listener: (change: PeerChange) => void): void;
  /** The speaker has died (its thread crashed) and nothing more will come. */
  onFatal(listener: (error: Error) => void): void;
}

/** Where the speaker tells what it does; constant messages, facts in fields. */
export interface SpeakerLog {
  debug(message: string, fields: LogFields): void;
  info(message: string, fields: LogFields): void;
  warn(message: string, fields: LogFields): void;
  error(message: string, fields: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpeakerOptions {
  readonly config: SpeakerConfig;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: SpeakerLog;
  /** TCP unless a test brings its own. */
  readonly transport?: Transport;
  /** Milliseconds since 1970; only shown, never compared. */
  readonly wallClock?: () => number;
}
