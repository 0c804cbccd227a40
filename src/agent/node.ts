// Which addresses a node has. Pure: a Node object and what the machine's interfaces hold in, addresses and faults out.
//
// Other nodes are believed: annotation, else the first InternalIP of each family. For our own node each address must be on
// a local interface: an agent that runs under another node's name must not speak for it. Without any InternalIP the
// first address of the default route's interface is taken (Calico's first-found), and published as annotation.
import { familyOf, tryParseIp, type Family, type Ip } from '#net';
import { families, type Addresses, type NodeObject } from './cluster-view.ts';

export const addressAnnotations: Readonly<Record<Family, string>> = {
  4: 'manx.network/IPv4Address',
  6: 'manx.network/IPv6Address',
};
const asAnnotation = 'manx.network/ASNumber';

/** What this machine's interfaces hold, and which interface each default route leaves by. */
export interface LocalInterfaces {
  readonly addresses: readonly { readonly ip: Ip; readonly interface: string }[];
  readonly defaultInterface: Readonly<Partial<Record<Family, string>>>;
}

export interface NodeAddresses {
  readonly addresses: Addresses;
  /** What could not be used, in words. */
  readonly faults: readonly string[];
}

/** Addresses of any node, from its object alone. */
export function addressesOf(node: NodeObject): NodeAddresses {
  const faults: string[] = [];
  const pairs = families.map((family): readonly [Family, Ip | undefined] => {
    const annotation = node.annotations[addressAnnotations[family]];
    if (annotation === undefined) return [family, node.internalIps.find((ip) => familyOf(ip) === family)];
    const ip = parseAnnotation(annotation, family);
    if (ip === undefined)
      faults.push(
        `node ${node.name}: annotation ${addressAnnotations[family]} is "${annotation}", expected an IPv${family} address`,
      );
    return [family, ip];
  });
  return { addresses: toAddresses(pairs), faults };
}

/** Calico's form is ADDRESS/LENGTH; a bare address is accepted too. */
function parseAnnotation(text: string, family: Family): Ip | undefined {
  const ip = tryParseIp(text.replace(/\/\d{1,3}$/, ''));
  return ip !== undefined && familyOf(ip) === family ? ip : undefined;
}

function toAddresses(pairs: readonly (readonly [Family, Ip | undefined])[]): Addresses {
  return Object.fromEntries(pairs.filter(([, ip]) => ip !== undefined));
}

export interface OwnAddresses extends NodeAddresses {
  /** True when nothing in the object named an address: peers can only learn ours if we publish it. */
  readonly detected: boolean;
}

/** Addresses of this node; empty with a fault when there is nothing to be had. */
export function ownAddresses(node: NodeObject, local: LocalInterfaces): OwnAddresses {
  const named = addressesOf(node);
  const faults = [...named.faults];
  const held = families.map((family): readonly [Family, Ip | undefined] => {
    const ip = named.addresses[family];
    if (ip === undefined || local.addresses.some((entry) => entry.ip === ip)) return [family, ip];
    faults.push(`node ${node.name}: address ${ip} is on no interface of this machine that is up`);
    return [family, undefined];
  });
  if (Object.keys(named.addresses).length > 0 || faults.length > 0) {
    return { addresses: toAddresses(held), faults, detected: false };
  }
  const addresses = toAddresses(families.map((family) => [family, firstFound(family, local)]));
  if (Object.keys(addresses).length > 0) return { addresses, faults, detected: true };
  const nothing = `node ${node.name}: no InternalIP in its status, and no address on the interface of a default route`;
  return { addresses, faults: [nothing], detected: false };
}

function firstFound(family: Family, local: LocalInterfaces): Ip | undefined {
  const name = local.defaultInterface[family];
  if (name === undefined) return undefined;
  return local.addresses.find((entry) => entry.interface === name && familyOf(entry.ip) === family)?.ip;
}

/** AS number of a node: its annotation, else the cluster's default. */
export function asOf(node: NodeObject, fallback: number): { readonly as: number; readonly fault: string | undefined } {
  const text = node.annotations[asAnnotation];
  if (text === undefined) return { as: fallback, fault: undefined };
  const as = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (as >= 1 && as <= 4_294_967_294 && as !== 23_456 && as !== 65_535) return { as, fault: undefined };
  return {
    as: fallback,
    fault: `node ${node.name}: annotation ${asAnnotation} is "${text}", expected an AS number; ${fallback} is used`,
  };
}
