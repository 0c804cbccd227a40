// What the agent knows of the cluster: plain values, JSON-able, so that they can be kept on disk and handed to pure code.
// The Kubernetes kinds end at src/agent/cluster.ts; the peer table, the advertisements and Felix's inputs are made from these.
import type { Family, Ip, Prefix } from '#net';

/** A Node object, as far as routing looks at it. `internalIps` are in the order of status.addresses. */
export interface NodeObject {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly internalIps: readonly Ip[];
}

export interface PoolObject {
  readonly name: string;
  readonly cidr: Prefix;
  readonly blockSize: number;
  readonly disabled: boolean;
  readonly natOutgoing: boolean;
  readonly disableBGPExport: boolean;
  readonly nodeSelector: string;
  /** Undefined: every namespace. */
  readonly namespaceSelector: string | undefined;
  /** May give addresses to pods that did not ask for it by name. */
  readonly automatic: boolean;
  /** May give addresses to pods at all. */
  readonly workloads: boolean;
  readonly terminating: boolean;
  /** RFC 3339, empty when unknown. */
  readonly createdAt: string;
}

/** A BGPPeer. Times in seconds; undefined = the speaker's default. */
export interface PeerObject {
  readonly name: string;
  readonly node: string | undefined;
  readonly nodeSelector: string | undefined;
  readonly address: Ip;
  readonly port: number;
  readonly as: number;
  readonly holdTimeSec: number | undefined;
  readonly keepaliveSec: number | undefined;
  readonly passive: boolean;
  readonly enabled: boolean;
}

/** The BGPConfiguration named default. */
interface BgpDefaults {
  readonly as: number;
  readonly mesh: boolean;
  readonly listenPort: number;
}

/** The IPAMConfiguration named default. */
interface IpamDefaults {
  readonly strictAffinity: boolean;
  readonly autoAllocateBlocks: boolean;
  /** 0 = any number. */
  readonly maxBlocksPerHost: number;
  readonly cooldownSec: number;
}

/** A Namespace, as far as its pods' addresses depend on it. */
export interface NamespaceObject {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ClusterView {
  readonly nodes: readonly NodeObject[];
  readonly pools: readonly PoolObject[];
  /** Ranges of every IPReservation. */
  readonly reserved: readonly Prefix[];
  readonly peers: readonly PeerObject[];
  readonly bgp: BgpDefaults;
  readonly ipam: IpamDefaults;
}

/** One address per family at most. */
export type Addresses = Readonly<Partial<Record<Family, Ip>>>;

export const families: readonly Family[] = [4, 6];
