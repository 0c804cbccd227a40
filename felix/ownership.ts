/**
 * How Manx recognises its own kernel objects with no memory: a route protocol number and metric, an nftables table,
 * an interface prefix. Decided before the first write; changing any of them orphans what an older agent wrote.
 */

/** Route protocol (`rtm_protocol`) of every route Felix writes; 84 is in no `rt_protos` we know (BIRD 12, Calico 80). */
const ROUTE_PROTOCOL = 84;

/**
 * Metric of every route Felix writes. High on purpose: a connected route (0, IPv6 256), a router advertisement or a
 * static route (1024) of the same prefix keeps winning, so a learned route can never cut the node from its network.
 */
const ROUTE_METRIC = 8400;

/** The nftables table (family inet) that is wholly ours. */
export const NFT_TABLE = 'manx';

/** First letters of every host-side pod interface. */
export const INTERFACE_PREFIX = 'mx';

/** MAC of the host end of every pod interface; its EUI-64 is `HOST_LINK_LOCAL`. */
export const HOST_MAC = 'ee:ee:ee:ee:ee:ee';

/** The pods' IPv4 gateway: no host has it, a permanent neighbour entry in the pod answers for it. */
export const GATEWAY_4 = '169.254.1.1';

/** The pods' IPv6 gateway: the link-local address of the host end. */
export const GATEWAY_6 = 'fe80::ecee:eeff:feee:eeee';

/** What a node runs with unless told otherwise. */
export const defaultFelixSettings = {
  interfacePrefix: INTERFACE_PREFIX,
  routeProtocol: ROUTE_PROTOCOL,
  metric: ROUTE_METRIC,
  resyncMs: 60_000,
} as const;
