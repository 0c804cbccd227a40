// The plan of a lab: which namespaces, links, addresses and AS numbers it has. Pure: a LabSpec in, a Topology out.
//
//        tor1 ───────── tor2          ToRs meet over point-to-point links, eBGP between them
//       (rack1)        (rack2)        a rack is a bridge inside its ToR's namespace; the ToR is its gateway
//        │   │          │   │
//     node11 node12  node21 node22    nodes run the real agent: mesh between all, eBGP to their own ToR
//
// Racks share no L2 segment, so pods of different racks reach each other only over routes that BGP spread.
import { nthAddress, nthSubprefix, parsePrefix, prefixLength, type Ip, type Prefix } from '#net';

/** What the user asked for. `name` becomes part of every namespace name (1 to 8 lower-case letters and digits). */
export interface LabSpec {
  readonly name: string;
  readonly racks: number;
  readonly nodesPerRack: number;
}

export interface LabNode {
  readonly name: string;
  readonly rack: number;
  readonly netns: string;
  readonly addresses: readonly [Ip, Ip];
  readonly gateways: readonly [Ip, Ip];
}

/** One end of a point-to-point link between two ToRs. */
export interface TorLink {
  readonly peer: string;
  readonly peerAs: number;
  readonly interface: string;
  readonly addresses: readonly [Ip, Ip];
  readonly peerAddresses: readonly [Ip, Ip];
}

export interface LabTor {
  readonly name: string;
  readonly rack: number;
  readonly netns: string;
  readonly as: number;
  readonly routerId: Ip;
  readonly gateways: readonly [Ip, Ip];
  readonly links: readonly TorLink[];
}

export interface Topology {
  readonly spec: LabSpec;
  readonly nodeAs: number;
  readonly pools: readonly { readonly name: string; readonly cidr: Prefix; readonly blockSize: number }[];
  readonly nodes: readonly LabNode[];
  readonly tors: readonly LabTor[];
}

/** The bridge inside a ToR's namespace that its rack hangs on. */
export const rackBridge = 'rack';
export const nodeInterface = 'eth0';

const rackNetworks = { 4: parsePrefix('172.30.0.0/16'), 6: parsePrefix('fd00:30::/32') } as const;
const linkNetworks = { 4: parsePrefix('172.31.0.0/16'), 6: parsePrefix('fd00:31::/32') } as const;
const maxRacks = 9;
const maxNodesPerRack = 9;

export class LabSpecError extends Error {}

function checkSpec(spec: LabSpec): void {
  if (!/^[a-z0-9]{1,8}$/.test(spec.name)) {
    throw new LabSpecError(`lab name "${spec.name}": expected 1 to 8 lower-case letters and digits`);
  }
  const counts = [
    ['racks', spec.racks, maxRacks],
    ['nodes per rack', spec.nodesPerRack, maxNodesPerRack],
  ] as const;
  for (const [what, count, max] of counts) {
    if (!Number.isInteger(count) || count < 1 || count > max) {
      throw new LabSpecError(`${what}: expected a number from 1 to ${max}, got ${count}`);
    }
  }
}

/** The networks of one rack: /24 and /64, one per rack number. */
function rackPrefixes(rack: number): readonly [Prefix, Prefix] {
  return [nthSubprefix(rackNetworks[4], 24, rack), nthSubprefix(rackNetworks[6], 64, rack)];
}

function rackAddresses(rack: number, host: number): readonly [Ip, Ip] {
  const [v4, v6] = rackPrefixes(rack);
  return [nthAddress(v4, host), nthAddress(v6, host)];
}

/** The /31 and /127 between ToRs a < b; end 0 belongs to a. */
function linkAddresses(a: number, b: number, end: 0 | 1): readonly [Ip, Ip] {
  const index = a * 16 + b;
  return [
    nthAddress(nthSubprefix(linkNetworks[4], 31, index), end),
    nthAddress(nthSubprefix(linkNetworks[6], 127, index), end),
  ];
}

const torAs = (rack: number): number => 65100 + rack;

function torLinks(rack: number, racks: number): TorLink[] {
  const others = Array.from({ length: racks }, (_, i) => i + 1).filter((other) => other !== rack);
  return others.map((other) => {
    const [a, b] = rack < other ? [rack, other] : [other, rack];
    const end = rack < other ? 0 : 1;
    return {
      peer: `tor${other}`,
      peerAs: torAs(other),
      interface: `to-tor${other}`,
      addresses: linkAddresses(a, b, end),
      peerAddresses: linkAddresses(a, b, end === 0 ? 1 : 0),
    };
  });
}

/** Lays out a lab. Throws LabSpecError naming the field. */
export function planTopology(spec: LabSpec): Topology {
  checkSpec(spec);
  const racks = Array.from({ length: spec.racks }, (_, i) => i + 1);
  const tors = racks.map((rack): LabTor => {
    const gateways = rackAddresses(rack, 1);
    return {
      name: `tor${rack}`,
      rack,
      netns: `mx-${spec.name}-tor${rack}`,
      as: torAs(rack),
      routerId: gateways[0],
      gateways,
      links: torLinks(rack, spec.racks),
    };
  });
  const nodes = racks.flatMap((rack) =>
    Array.from({ length: spec.nodesPerRack }, (_, i): LabNode => {
      const name = `node${rack}${i + 1}`;
      return {
        name,
        rack,
        netns: `mx-${spec.name}-${name}`,
        addresses: rackAddresses(rack, 10 + i + 1),
        gateways: rackAddresses(rack, 1),
      };
    }),
  );
  return { spec, nodeAs: 64512, pools: defaultPools, nodes, tors };
}

const defaultPools = [
  { name: 'default-ipv4', cidr: parsePrefix('10.64.0.0/16'), blockSize: 26 },
  { name: 'default-ipv6', cidr: parsePrefix('fd00:64::/48'), blockSize: 122 },
] as const;

/** `address/length` as `ip addr add` wants it, with the length of the rack's network. */
export function onRack(address: Ip, family: 4 | 6): string {
  return `${address}/${prefixLength(rackPrefixes(1)[family === 4 ? 0 : 1])}`;
}

/** The namespace of a pod. */
export function podNetns(lab: string, pod: string): string {
  return `mx-${lab}-pod-${pod}`;
}

/** Every namespace of a lab begins with this; nothing else is ever removed. */
export function netnsPrefix(lab: string): string {
  return `mx-${lab}-`;
}

/** The address of a /31 or /127 with its length, for `ip addr add`. */
export function onLink(address: Ip, family: 4 | 6): string {
  return `${address}/${family === 4 ? 31 : 127}`;
}
