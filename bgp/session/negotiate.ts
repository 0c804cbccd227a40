/**
 * My OPEN and their OPEN: what we say, and what both have agreed on (RFC 4271 §4.2 and §6.2, RFC 5492, RFC 6286).
 *
 * Pure. Either the result is complete and both sides will compute the same hold time and families from it, or it is the
 * NOTIFICATION 2/x to send; there is no half agreement.
 */
import type { Family, Ip } from '#net';
import { AS_TRANS, BGP_VERSION, ErrorCode, OpenSubcode } from '../iana.ts';
import type { Capability } from '../wire/capability.ts';
import type { WireContext } from '../wire/context.ts';
import { fromAfiSafi, toAfiSafi } from '../wire/family.ts';
import type { OpenMessage } from '../wire/open.ts';

/** What this side brings to one session. */
export interface LocalParameters {
  readonly as: number;
  readonly peerAs: number;
  readonly routerId: Ip;
  /** Proposed hold time, 0 or at least 3. */
  readonly holdTimeSec: number;
  /** Upper bound of the KEEPALIVE interval; a third of the hold time when absent. */
  readonly keepaliveSec?: number | undefined;
  readonly families: readonly Family[];
  /** Absent: the capability is not sent and the peer's routes are dropped with the session. */
  readonly gracefulRestart: LocalGracefulRestart | undefined;
}

/** RFC 4724 §3, RFC 8538 §2. */
export interface LocalGracefulRestart {
  readonly restartTimeSec: number;
  /** R bit: this speaker has just restarted. */
  readonly restarting: boolean;
  /** F bits: the kernel still forwards by what we had. */
  readonly forwarding: boolean;
}

/** The peer's Graceful Restart capability, reduced to families we route. */
export interface PeerGracefulRestart {
  readonly restarting: boolean;
  readonly notification: boolean;
  readonly restartTimeSec: number;
  readonly families: readonly { readonly family: Family; readonly forwarding: boolean }[];
}

export interface Negotiated {
  readonly holdTimeSec: number;
  readonly keepaliveSec: number;
  readonly families: readonly Family[];
  readonly peerRouterId: Ip;
  readonly peerAs: number;
  readonly peerType: 'ebgp' | 'ibgp';
  readonly routeRefresh: boolean;
  /** Both sides mark where a refresh begins and ends · RFC 7313. */
  readonly enhancedRefresh: boolean;
  /** Present when both sides sent the capability. */
  readonly gracefulRestart: PeerGracefulRestart | undefined;
  readonly context: WireContext;
}

/** Why an OPEN cannot be accepted: a NOTIFICATION OPEN Message Error with words. */
export interface Refusal {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
  readonly message: string;
}

export type Negotiation =
  | { readonly ok: true; readonly negotiated: Negotiated }
  | { readonly ok: false; readonly error: Refusal };

/** The OPEN this side sends · RFC 4271 §4.2. */
export function buildOpen(local: LocalParameters): OpenMessage {
  const capabilities: Capability[] = local.families.map((family) => ({ kind: 'multiprotocol', ...toAfiSafi(family) }));
  capabilities.push({ kind: 'route-refresh' }, { kind: 'enhanced-route-refresh' });
  capabilities.push({ kind: 'four-octet-as', as: local.as });
  if (local.gracefulRestart !== undefined) capabilities.push(gracefulRestartCapability(local, local.gracefulRestart));
  return {
    type: 'open',
    version: BGP_VERSION,
    as: local.as > 0xffff ? AS_TRANS : local.as,
    holdTimeSec: local.holdTimeSec,
    routerId: local.routerId,
    capabilities,
  };
}

/** What both sides agree on, or the error 2/x to send · RFC 4271 §6.2. */
export function negotiate(local: LocalParameters, open: OpenMessage): Negotiation {
  const peerAs = announcedAs(open);
  const families = commonFamilies(local.families, open);
  const error = findFault(local, open, peerAs) ?? (families.length === 0 ? noCommonFamily(local) : undefined);
  if (error !== undefined) return { ok: false, error };

  const peerType = peerAs === local.as ? 'ibgp' : 'ebgp';
  const holdTimeSec = Math.min(local.holdTimeSec, open.holdTimeSec);
  const third = holdTimeSec / 3;
  return {
    ok: true,
    negotiated: {
      holdTimeSec,
      keepaliveSec: Math.min(local.keepaliveSec ?? third, third),
      families,
      peerRouterId: open.routerId,
      peerAs,
      peerType,
      routeRefresh: open.capabilities.some((c) => c.kind === 'route-refresh'),
      enhancedRefresh: open.capabilities.some((c) => c.kind === 'enhanced-route-refresh'),
      gracefulRestart: local.gracefulRestart === undefined ? undefined : peerGracefulRestart(open),
      context: {
        fourOctetAs: open.capabilities.some((c) => c.kind === 'four-octet-as'),
        extendedMessages: false, // never offered
        peerType,
        families,
      },
    },
  };
}

/** RFC 6793 §4.1: the capability wins over the two-octet field. */
function announcedAs(open: OpenMessage): number {
  for (const capability of open.capabilities) if (capability.kind === 'four-octet-as') return capability.as;
  return open.as;
}

function findFault(local: LocalParameters, open: OpenMessage, peerAs: number): Refusal | undefined {
  if (open.version !== BGP_VERSION) {
    return refusal(OpenSubcode.unsupportedVersionNumber, `version is ${open.version}, expected 4`, [0, BGP_VERSION]);
  }
  if (peerAs === 0 || peerAs !== local.peerAs) {
    return refusal(OpenSubcode.badPeerAs, `peer says AS ${peerAs}, expected ${local.peerAs}`, asBytes(peerAs));
  }
  if (open.routerId === '0.0.0.0') return refusal(OpenSubcode.badBgpIdentifier, 'router id is zero');
  // RFC 6286 §2.2: the identifier has to be unique inside an AS only.
  if (open.routerId === local.routerId && peerAs === local.as) {
    return refusal(OpenSubcode.badBgpIdentifier, `router id ${open.routerId} is our own`);
  }
  if (open.holdTimeSec === 1 || open.holdTimeSec === 2) {
    const data = [0, open.holdTimeSec];
    return refusal(
      OpenSubcode.unacceptableHoldTime,
      `hold time is ${open.holdTimeSec}, expected 0 or at least 3`,
      data,
    );
  }
  return undefined;
}

/** RFC 4760 §8: a peer without any multiprotocol capability speaks IPv4 unicast. */
function commonFamilies(ours: readonly Family[], open: OpenMessage): readonly Family[] {
  const theirs = new Set<Family>();
  let announcesAny = false;
  for (const capability of open.capabilities) {
    if (capability.kind !== 'multiprotocol') continue;
    announcesAny = true;
    const family = fromAfiSafi(capability.afi, capability.safi);
    if (family !== undefined) theirs.add(family);
  }
  if (!announcesAny) theirs.add(4);
  return ours.filter((family) => theirs.has(family));
}

/** RFC 5492 §5: the data lists the capabilities we require. */
function noCommonFamily(local: LocalParameters): Refusal {
  const data = local.families.flatMap((family) => [1, 4, 0, toAfiSafi(family).afi, 0, toAfiSafi(family).safi]);
  const wanted = local.families.map((family) => `IPv${family}`).join(' or ');
  return refusal(OpenSubcode.unsupportedCapability, `no common address family, expected ${wanted} unicast`, data);
}

function peerGracefulRestart(open: OpenMessage): PeerGracefulRestart | undefined {
  for (const capability of open.capabilities) {
    if (capability.kind !== 'graceful-restart') continue;
    const { restarting, notification, restartTimeSec } = capability;
    const families = capability.families.flatMap(({ afi, safi, forwarding }) => {
      const family = fromAfiSafi(afi, safi);
      return family === undefined ? [] : [{ family, forwarding }];
    });
    return { restarting, notification, restartTimeSec, families };
  }
  return undefined;
}

function gracefulRestartCapability(local: LocalParameters, restart: LocalGracefulRestart): Capability {
  return {
    kind: 'graceful-restart',
    restarting: restart.restarting,
    notification: true,
    restartTimeSec: restart.restartTimeSec,
    families: local.families.map((family) => ({ ...toAfiSafi(family), forwarding: restart.forwarding })),
  };
}

/** What we have seen others send: two octets where the AS fits, else four. */
function asBytes(as: number): readonly number[] {
  const low = [(as >>> 8) & 0xff, as & 0xff];
  return as > 0xffff ? [(as >>> 24) & 0xff, (as >>> 16) & 0xff, ...low] : low;
}

function refusal(subcode: number, message: string, data: readonly number[] = []): Refusal {
  return { code: ErrorCode.openMessage, subcode, data: Uint8Array.from(data), message };
}
