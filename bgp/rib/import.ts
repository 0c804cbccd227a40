/**
 * May a received route be used? (RFC 4271 §9.1.2 loops, RFC 4456 §8, and the peer's import policy.)
 *
 * Pure. The answer is a reason, not a boolean; `rule` names the policy rule that decided, if it came to that.
 */
import type { Ip } from '#net';
import { evaluate, type RoutePolicy } from '../policy/policy.ts';
import { asPathContains, type Path } from './path.ts';

export interface ImportContext {
  readonly localAs: number;
  readonly routerId: Ip;
  /** Our own addresses: a route through ourselves is a loop. */
  readonly addresses: readonly Ip[];
  readonly policy: RoutePolicy;
}

export interface ImportVerdict {
  /** Undefined = accepted. */
  readonly refused: string | undefined;
  readonly rule: string | undefined;
}

/** Judge one received path. */
export function judgeImport(path: Path, context: ImportContext): ImportVerdict {
  const loop = findLoop(path, context);
  if (loop !== undefined) return { refused: loop, rule: undefined };
  const { action, rule } = evaluate(context.policy, path.prefix, path.nextHop);
  return { refused: action === 'accept' ? undefined : `import policy: ${rule}`, rule };
}

function findLoop({ attributes, nextHop }: Path, context: ImportContext): string | undefined {
  if (asPathContains(attributes.asPath, context.localAs)) return `own AS ${context.localAs} in AS_PATH`;
  if (attributes.originatorId === context.routerId) return `ORIGINATOR_ID ${context.routerId} is our own`;
  if (nextHop !== undefined && context.addresses.includes(nextHop)) return `next hop ${nextHop} is our own address`;
  return undefined;
}
