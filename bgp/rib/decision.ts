/**
 * Route selection as a list (RFC 4271 §9.1.2.2, with RFC 4456 §9): each row removes the paths it finds worse, until one
 * is left. Every removed path carries the row that removed it, so a looking glass can say why it lost.
 *
 * Pure. Rows eliminate over the whole set instead of comparing pairs, because MED is compared only between routes of
 * one neighbouring AS and would otherwise depend on the order of arrival. The last row makes the order total. There is
 * no step for the interior cost: the nodes we serve have no IGP that could tell one.
 */
import { compareIp, type Ip } from '#net';
import { asPathLength, localPrefOf, neighbourAs, type Route } from './path.ts';

export interface Step {
  readonly step: string;
  readonly rfc: string;
  /** Negative when a is preferred. */
  readonly compare: (a: Route, b: Route) => number;
  /** Compare only paths with an equal value. */
  readonly within?: (path: Route) => number;
  /** Paths that differ from here on only are used together (ECMP). */
  readonly tieBreak?: true;
}

const ORIGIN_RANK = { igp: 0, egp: 1, incomplete: 2 } as const;
const SOURCE_RANK = { local: 0, ebgp: 1, ibgp: 2 } as const;

const STEPS: readonly Step[] = [
  { step: 'our own route', rfc: 'RFC 4271 §9.1', compare: (a, b) => rankLocal(a) - rankLocal(b) },
  { step: 'higher LOCAL_PREF', rfc: 'RFC 4271 §9.1.1', compare: (a, b) => localPrefOf(b) - localPrefOf(a) },
  {
    step: 'shorter AS_PATH',
    rfc: 'RFC 4271 §9.1.2.2 a',
    compare: (a, b) => asPathLength(a.attributes.asPath) - asPathLength(b.attributes.asPath),
  },
  {
    step: 'lower ORIGIN',
    rfc: 'RFC 4271 §9.1.2.2 b',
    compare: (a, b) => ORIGIN_RANK[a.attributes.origin] - ORIGIN_RANK[b.attributes.origin],
  },
  {
    step: 'lower MED',
    rfc: 'RFC 4271 §9.1.2.2 c',
    compare: (a, b) => (a.attributes.med ?? 0) - (b.attributes.med ?? 0),
    within: neighbourAs,
  },
  {
    step: 'eBGP over iBGP',
    rfc: 'RFC 4271 §9.1.2.2 d',
    compare: (a, b) => SOURCE_RANK[a.source.kind] - SOURCE_RANK[b.source.kind],
  },
  {
    step: 'lower router id',
    rfc: 'RFC 4271 §9.1.2.2 f, RFC 4456 §9',
    compare: (a, b) => compareOptional(originator(a), originator(b)),
    tieBreak: true,
  },
  {
    step: 'shorter CLUSTER_LIST',
    rfc: 'RFC 4456 §9',
    compare: (a, b) => a.attributes.clusterList.length - b.attributes.clusterList.length,
    tieBreak: true,
  },
  {
    step: 'lower peer address',
    rfc: 'RFC 4271 §9.1.2.2 g',
    compare: (a, b) => compareOptional(a.source.address, b.source.address),
    tieBreak: true,
  },
  {
    step: 'peer name',
    rfc: 'ours: makes the order total',
    compare: (a, b) => (a.source.name < b.source.name ? -1 : Number(a.source.name > b.source.name)),
    tieBreak: true,
  },
];

export interface Loser<P extends Route = Route> {
  readonly path: P;
  readonly step: Step;
}

/** Who won, who may be used beside it, and what made each other lose. */
export interface Verdict<P extends Route = Route> {
  readonly best: P;
  /** The winner and all paths that only a tie-break told from it. */
  readonly multipath: readonly P[];
  readonly losers: readonly Loser<P>[];
}

/** Select among the paths to one prefix; undefined when there is none · one path per source name. */
export function choose<P extends Route>(paths: readonly P[]): Verdict<P> | undefined {
  let left = paths;
  let multipath: readonly P[] | undefined;
  const losers: Loser<P>[] = [];
  for (const step of STEPS) {
    if (left.length <= 1) break;
    if (step.tieBreak) multipath ??= left;
    const kept = left.filter((path) => !left.some((other) => beats(step, other, path)));
    for (const path of left) if (!kept.includes(path)) losers.push({ path, step });
    left = kept;
  }
  const best = left[0];
  return best === undefined ? undefined : { best, multipath: multipath ?? left, losers };
}

function beats(step: Step, other: Route, path: Route): boolean {
  if (step.within !== undefined && step.within(other) !== step.within(path)) return false;
  return step.compare(other, path) < 0;
}

function rankLocal(path: Route): number {
  return path.source.kind === 'local' ? 0 : 1;
}

/** RFC 4456 §9: ORIGINATOR_ID stands for the router id where a reflector passed the route on. */
function originator(path: Route): Ip | undefined {
  return path.attributes.originatorId ?? path.source.routerId;
}

function compareOptional(a: Ip | undefined, b: Ip | undefined): number {
  if (a === undefined || b === undefined) return Number(b === undefined) - Number(a === undefined);
  return compareIp(a, b);
}
