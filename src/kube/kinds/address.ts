/** Addresses that configuration may not name, by class. ip-address knows the registries; #net stays free of them. */
import { Address4, Address6 } from 'ip-address';
import { familyOf, type Ip, overlaps, type Prefix, parsePrefix } from '#net';

/** Why this address cannot be that of a peer or a node, in words; undefined when it can. */
export function unusableAddress(ip: Ip): string | undefined {
  const address = familyOf(ip) === 4 ? new Address4(ip) : new Address6(ip);
  if (address.isUnspecified()) return 'is the unspecified address';
  if (address.isLoopback()) return 'is a loopback address';
  if (address.isMulticast()) return 'is a multicast address';
  if (address.isLinkLocal()) return 'is a link-local address, which is not supported';
  if (address instanceof Address4 && address.isBroadcast()) return 'is the broadcast address';
  return undefined;
}

const FORBIDDEN_RANGES: readonly (readonly [prefix: Prefix, name: string])[] = [
  [parsePrefix('127.0.0.0/8'), 'loopback'],
  [parsePrefix('169.254.0.0/16'), 'link-local'],
  [parsePrefix('224.0.0.0/4'), 'multicast'],
  [parsePrefix('::1/128'), 'loopback'],
  [parsePrefix('fe80::/10'), 'link-local'],
  [parsePrefix('ff00::/8'), 'multicast'],
];

/** Why no pod may get addresses from this range, in words; undefined when they may. */
export function unusableRange(cidr: Prefix): string | undefined {
  const found = FORBIDDEN_RANGES.find(([prefix]) => overlaps(prefix, cidr));
  return found === undefined ? undefined : `overlaps the ${found[1]} range ${found[0]}`;
}
