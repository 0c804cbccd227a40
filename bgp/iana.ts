/**
 * Code points of BGP-4, each with the RFC that defines it (IANA registries "BGP Parameters", "Capability Codes",
 * "Address Family Numbers"). Only numbers live here; what they mean is in wire/.
 */

/** RFC 4271 §4.1. */
export const HEADER_BYTES = 19;
/** Largest message a speaker may send or accept without the Extended Message capability · RFC 4271 §4.1. */
export const MAX_MESSAGE_BYTES = 4096;
/** Largest message once the Extended Message capability was exchanged · RFC 8654 §3. */
export const MAX_EXTENDED_MESSAGE_BYTES = 65535;
/** The only version spoken · RFC 4271 §4.2. */
export const BGP_VERSION = 4;
/** Stands for an AS number that does not fit two octets · RFC 6793 §9. */
export const AS_TRANS = 23456;

export const MessageType = {
  open: 1, // RFC 4271
  update: 2, // RFC 4271
  notification: 3, // RFC 4271
  keepalive: 4, // RFC 4271
  routeRefresh: 5, // RFC 2918
} as const;

/** NOTIFICATION error codes. */
export const ErrorCode = {
  messageHeader: 1, // RFC 4271
  openMessage: 2, // RFC 4271
  updateMessage: 3, // RFC 4271
  holdTimerExpired: 4, // RFC 4271
  finiteStateMachine: 5, // RFC 4271, subcodes RFC 6608
  cease: 6, // RFC 4271, subcodes RFC 4486
  routeRefreshMessage: 7, // RFC 7313
  sendHoldTimerExpired: 8, // RFC 9687
} as const;

export const HeaderSubcode = {
  connectionNotSynchronized: 1, // RFC 4271
  badMessageLength: 2, // RFC 4271
  badMessageType: 3, // RFC 4271
} as const;

export const OpenSubcode = {
  unspecific: 0, // RFC 4271
  unsupportedVersionNumber: 1, // RFC 4271
  badPeerAs: 2, // RFC 4271
  badBgpIdentifier: 3, // RFC 4271
  unsupportedOptionalParameter: 4, // RFC 4271
  unacceptableHoldTime: 6, // RFC 4271
  unsupportedCapability: 7, // RFC 5492
  roleMismatch: 11, // RFC 9234
} as const;

export const UpdateSubcode = {
  malformedAttributeList: 1, // RFC 4271
  unrecognizedWellKnownAttribute: 2, // RFC 4271
  missingWellKnownAttribute: 3, // RFC 4271
  attributeFlagsError: 4, // RFC 4271
  attributeLengthError: 5, // RFC 4271
  invalidOrigin: 6, // RFC 4271
  invalidNextHop: 8, // RFC 4271
  optionalAttributeError: 9, // RFC 4271
  invalidNetworkField: 10, // RFC 4271
  malformedAsPath: 11, // RFC 4271
} as const;

export const FsmSubcode = {
  unspecific: 0, // RFC 6608
  unexpectedInOpenSent: 1, // RFC 6608
  unexpectedInOpenConfirm: 2, // RFC 6608
  unexpectedInEstablished: 3, // RFC 6608
} as const;

export const CeaseSubcode = {
  maximumPrefixes: 1, // RFC 4486
  administrativeShutdown: 2, // RFC 4486, text RFC 9003
  peerDeconfigured: 3, // RFC 4486
  administrativeReset: 4, // RFC 4486, text RFC 9003
  connectionRejected: 5, // RFC 4486
  otherConfigurationChange: 6, // RFC 4486
  connectionCollisionResolution: 7, // RFC 4486
  outOfResources: 8, // RFC 4486
  hardReset: 9, // RFC 8538
  bfdDown: 10, // RFC 9384
} as const;

export const RouteRefreshSubcode = {
  invalidMessageLength: 1, // RFC 7313
} as const;

/** ROUTE-REFRESH message subtypes. */
export const RefreshSubtype = {
  request: 0, // RFC 2918
  begin: 1, // RFC 7313, BoRR
  end: 2, // RFC 7313, EoRR
} as const;

/** OPEN optional parameter types. */
export const OptionalParameter = {
  capabilities: 2, // RFC 5492
  extendedLength: 255, // RFC 9072
} as const;

export const CapabilityCode = {
  multiprotocol: 1, // RFC 2858, RFC 4760
  routeRefresh: 2, // RFC 2918
  extendedMessage: 6, // RFC 8654
  gracefulRestart: 64, // RFC 4724, N bit RFC 8538
  fourOctetAs: 65, // RFC 6793
  enhancedRouteRefresh: 70, // RFC 7313
} as const;

/** Path attribute type codes. */
export const AttributeCode = {
  origin: 1, // RFC 4271
  asPath: 2, // RFC 4271
  nextHop: 3, // RFC 4271
  med: 4, // RFC 4271 MULTI_EXIT_DISC
  localPref: 5, // RFC 4271
  atomicAggregate: 6, // RFC 4271
  aggregator: 7, // RFC 4271
  communities: 8, // RFC 1997
  originatorId: 9, // RFC 4456
  clusterList: 10, // RFC 4456
  mpReach: 14, // RFC 4760
  mpUnreach: 15, // RFC 4760
  extendedCommunities: 16, // RFC 4360
  as4Path: 17, // RFC 6793
  as4Aggregator: 18, // RFC 6793
  tunnelEncapsulation: 23, // RFC 9012, opaque
  entropyLabel: 28, // RFC 6790, deprecated RFC 7447, opaque
  largeCommunities: 32, // RFC 8092
  prefixSid: 40, // RFC 8669, opaque
  attrSet: 128, // RFC 6368, opaque
} as const;

/** Address family identifiers. */
export const Afi = {
  ipv4: 1, // RFC 4760
  ipv6: 2, // RFC 4760
} as const;

/** Subsequent address family identifiers. */
export const Safi = {
  unicast: 1, // RFC 4760
} as const;
