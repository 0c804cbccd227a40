/**
 * What a looking glass sees: peers and routes with the reason why each path is not the best (pure).
 *
 * Built on demand from the RIBs; the verdicts are those of the running selection, computed again by the same function.
 */
import { comparePrefix } from '#net';
import { choose, type Verdict } from './rib/decision.ts';
import type { LocRib } from './rib/loc-rib.ts';
import { formatAsPath, localPrefOf, type Route } from './rib/path.ts';
import type { PeerEntry } from './peer-entry.ts';
import type { PrefixLimit } from './policy/prefix-limit.ts';
import type { PathView, PeerSpec, PeerStatus, RouteView } from './speaker-types.ts';

export function viewPeer(
  entry: PeerEntry,
  { limit, policyFault }: { readonly limit: PrefixLimit; readonly policyFault: string | undefined },
): PeerStatus {
  const { spec, peer, exchange, sinceMs, reason, flaps } = entry;
  const { negotiated } = peer;
  return {
    name: spec.name,
    address: spec.address,
    as: spec.as,
    label: spec.label,
    description: spec.description,
    state: peer.state,
    sinceMs,
    reason,
    routerId: negotiated?.peerRouterId,
    received: exchange.ribIn.received,
    accepted: exchange.ribIn.accepted,
    stale: exchange.ribIn.stale,
    advertised: exchange.advertised,
    flaps,
    importRules: exchange.importRules,
    refused: entry.refused,
    policyFault,
    prefixLimit: { ...limit, state: entry.limit },
    admittedBy: entry.range,
    security: securityOf(spec),
    negotiated:
      negotiated === undefined
        ? undefined
        : {
            holdTimeSec: negotiated.holdTimeSec,
            families: negotiated.families,
            gracefulRestart: negotiated.gracefulRestart !== undefined,
          },
  };
}

function securityOf({ password, ttlSecurity, interface: device }: PeerSpec): PeerStatus['security'] & object {
  const asked = { md5: password, gtsm: ttlSecurity, device } as const;
  return (['md5', 'gtsm', 'device'] as const).filter((name) => asked[name] !== undefined);
}

/** A range has no session of its own: what it admits stands beside it. */
export function viewRange(spec: PeerSpec, refused: string | undefined): PeerStatus {
  return {
    name: spec.name,
    address: spec.address,
    as: spec.as,
    label: spec.label,
    description: spec.description,
    state: refused === undefined ? 'active' : 'idle',
    sinceMs: 0,
    reason: refused === undefined ? `waiting for peers from ${spec.range}` : `refused: ${refused}`,
    routerId: undefined,
    received: 0,
    accepted: 0,
    stale: 0,
    advertised: 0,
    flaps: 0,
    importRules: [],
    refused,
    security: securityOf(spec),
    negotiated: undefined,
  };
}

/** Every prefix of the Loc-RIB and of refused routes, in order. */
export function viewRoutes(locRib: LocRib, entries: readonly PeerEntry[]): readonly RouteView[] {
  const refused = new Map<number, PathView[]>();
  const ids = new Set<number>();
  locRib.forEach((id) => ids.add(id));
  for (const { exchange } of entries) {
    exchange.ribIn.forEach((id, { route, refused: why }) => {
      if (why === undefined) return;
      const views = refused.get(id) ?? [];
      views.push(viewPath(route, { best: false, used: false, stale: exchange.ribIn.isStale(id), why }));
      refused.set(id, views);
      ids.add(id);
    });
  }
  const byName = new Map(entries.map((entry) => [entry.spec.name, entry]));
  const named = [...ids].map((id) => ({ id, prefix: locRib.table.prefix(id) }));
  return named
    .sort((a, b) => comparePrefix(a.prefix, b.prefix))
    .map(({ id, prefix }) => {
      const verdict = choose(locRib.routes(id));
      const candidates = verdict === undefined ? [] : viewVerdict(id, verdict, byName);
      return {
        prefix,
        nextHops: [
          ...new Set(candidates.flatMap(({ used, nextHop }) => (used && nextHop !== undefined ? [nextHop] : []))),
        ],
        paths: [...candidates, ...(refused.get(id) ?? [])],
        advertisedTo: entries.filter(({ exchange }) => exchange.isTold(id)).map(({ spec }) => spec.name),
      };
    });
}

function viewVerdict(id: number, verdict: Verdict, entries: ReadonlyMap<string, PeerEntry>): readonly PathView[] {
  const isStale = ({ source }: Route): boolean => entries.get(source.name)?.exchange.ribIn.isStale(id) ?? false;
  const best = viewPath(verdict.best, { best: true, used: true, stale: isStale(verdict.best), why: '' });
  const losers = verdict.losers.map(({ path, step }) =>
    viewPath(path, {
      best: false,
      used: verdict.multipath.includes(path),
      stale: isStale(path),
      why: `${step.step} of the best path (${step.rfc})`,
    }),
  );
  return [best, ...losers];
}

function viewPath(path: Route, verdict: Pick<PathView, 'best' | 'used' | 'stale' | 'why'>): PathView {
  return {
    peer: path.source.name,
    source: path.source.kind,
    nextHop: path.nextHop,
    ...verdict,
    asPath: formatAsPath(path.attributes.asPath),
    origin: path.attributes.origin,
    localPref: localPrefOf(path),
    med: path.attributes.med,
    communities: path.attributes.communities,
  };
}
