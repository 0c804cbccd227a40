/** What a peer's specification means for judging what it tells (rib/import.ts) and what it is told (rib/export.ts). Pure. */
import type { Ip } from '#net';
import { AttributeMemo } from './policy/changes.ts';
import type { ExportTarget } from './rib/export.ts';
import type { ImportContext } from './rib/import.ts';
import type { Negotiated } from './session/negotiate.ts';
import type { PeerSpec, SpeakerConfig } from './speaker-types.ts';

export function importContext(spec: PeerSpec, config: SpeakerConfig): ImportContext {
  return {
    localAs: spec.localAs ?? config.as,
    routerId: config.routerId,
    addresses: config.addresses,
    policy: spec.import,
    allowedLocalAs: spec.allowedLocalAs ?? 0,
    peerAs: spec.enforceFirstAs === false ? undefined : spec.as,
    clusterId: clusterOf(config),
    requirePolicy: config.requireEbgpPolicy ?? false,
  };
}

/** RFC 4456 §7: the router id, where one reflector is a cluster of its own. */
function clusterOf({ clusterId, routerId }: SpeakerConfig): Ip {
  return clusterId ?? routerId;
}

export function exportTarget(from: {
  readonly spec: PeerSpec;
  readonly config: SpeakerConfig;
  readonly negotiated: Negotiated;
  readonly localAddress: Ip | undefined;
}): ExportTarget {
  const { spec, config, negotiated, localAddress } = from;
  return {
    name: spec.name,
    peerType: negotiated.peerType,
    localAs: spec.localAs ?? config.as,
    families: negotiated.families,
    nextHopSelf: spec.nextHopSelf,
    localAddress,
    policy: spec.export,
    requirePolicy: config.requireEbgpPolicy ?? false,
    nextHop: spec.nextHop,
    client: spec.routeReflectorClient === true,
    clusterId: clusterOf(config),
    peerRouterId: negotiated.peerRouterId,
    gracefulShutdown: spec.gracefulShutdown,
    memo: new AttributeMemo(),
    cache: new WeakMap(),
  };
}
