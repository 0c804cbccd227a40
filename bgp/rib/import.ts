/**
 * May a received route be used, and as what? (RFC 4271 §9.1.2 loops, RFC 4456 §8, RFC 8326, and the import policy.)
 *
 * Pure. The answer is a reason, not a boolean; `rule` names the policy rule that decided, if it came to that.
 */
import { familyOf, type Ip } from '#net';
import type { AttributeMemo, RouteChanges } from '../policy/changes.ts';
import { evaluateRoute, type RoutePolicy, saysNothing } from '../policy/policy.ts';
import { Community, countAs, neighbourAs, type Path } from './path.ts';

export interface ImportContext {
  readonly localAs: number;
  readonly routerId: Ip;
  /** Our own addresses: a route through ourselves is a loop. */
  readonly addresses: readonly Ip[];
  readonly policy: RoutePolicy;
  /** How often our own AS may stand in a path that is no loop; default 0. */
  readonly allowedLocalAs?: number;
  /** Checked against the first AS of paths from another AS; absent = not checked · RFC 4271 §6.3. */
  readonly peerAs?: number | undefined;
  /** Routes through our own cluster are loops · RFC 4456 §8. */
  readonly clusterId?: Ip;
  /** Another AS without a policy is not believed · RFC 8212 §3. */
  readonly requirePolicy?: boolean;
}

export interface ImportVerdict {
  /** Undefined = accepted. */
  readonly refused: string | undefined;
  readonly rule: string | undefined;
  /** What the rule that accepted it changes. */
  readonly set: RouteChanges | undefined;
}

/** RFC 8326 §4.1: a route about to go away is used only if there is no other. */
const GRACEFUL_SHUTDOWN: RouteChanges = { localPref: 0 };

/** Judge one received path. */
export function judgeImport(path: Path, context: ImportContext): ImportVerdict {
  const { policy } = context;
  const { prefix, nextHop, attributes, source } = path;
  const invalid = findLoop(path, context) ?? findStranger(path, context);
  if (invalid !== undefined) return { refused: invalid, rule: undefined, set: undefined };
  const { action, rule, set } = evaluateRoute(policy, { prefix, nextHop, attributes, learnedFrom: source.kind });
  return { refused: action === 'accept' ? undefined : `import policy: ${rule}`, rule, set };
}

/** The path as it goes into the Loc-RIB: changed by the rule that accepted it. */
export function changePath(path: Path, set: RouteChanges | undefined, memo: AttributeMemo): Path {
  const { attributes: received, source } = path;
  const leaving = source.kind === 'ebgp' && received.communities.includes(Community.gracefulShutdown);
  if (set === undefined && !leaving) return path;
  const changed = memo.change(received, set);
  const attributes = leaving ? memo.change(changed, GRACEFUL_SHUTDOWN) : changed;
  return { ...path, attributes, nextHop: changedNextHop(path, set) };
}

function changedNextHop({ nextHop }: Path, set: RouteChanges | undefined): Ip | undefined {
  const wanted = set?.nextHop;
  if (wanted === undefined || wanted === 'self' || wanted === 'keep' || nextHop === undefined) return nextHop;
  return familyOf(wanted) === familyOf(nextHop) ? wanted : nextHop;
}

function findLoop({ attributes, nextHop }: Path, context: ImportContext): string | undefined {
  const { localAs, routerId, clusterId, allowedLocalAs = 0 } = context;
  if (countAs(attributes.asPath, localAs) > allowedLocalAs) return `own AS ${localAs} in AS_PATH`;
  if (attributes.originatorId === routerId) return `ORIGINATOR_ID ${routerId} is our own`;
  if (clusterId !== undefined && attributes.clusterList.includes(clusterId))
    return `own cluster ${clusterId} in CLUSTER_LIST`;
  if (nextHop !== undefined && context.addresses.includes(nextHop)) return `next hop ${nextHop} is our own address`;
  return undefined;
}

function findStranger(path: Path, { peerAs, requirePolicy, policy }: ImportContext): string | undefined {
  if (path.source.kind !== 'ebgp') return undefined;
  if (requirePolicy && saysNothing(policy)) return 'no import policy for another AS (RFC 8212)';
  if (peerAs === undefined || neighbourAs(path) === peerAs) return undefined;
  return `first AS of the path is ${neighbourAs(path)}, expected ${peerAs}`;
}
