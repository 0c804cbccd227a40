/**
 * Conditions of objects that people look at (IPPool, BGPPeer…): what is true of each now, written when it changes.
 *
 * Every node computes the same claims from the same objects, so any one may write: each waits a random while first, reads the
 * object, and writes only if it does not say so already. The invariants: at most one write at a time; a write that meets a newer
 * object is made again on that; an object that is gone is no fault; a claim that is not ours is left alone.
 */
import { type Timers, Worker } from '#reconcile';
import type { KubeClient } from './client.ts';
import { isStatus } from './errors.ts';
import type { KubeLog } from './log.ts';
import { isRecord, type JsonRecord, type KubeObject } from './objects.ts';
import type { ResourceDef } from './resources.ts';

/** One claim about an object; reason is one CamelCase word, message a sentence that names the field at fault. */
export interface ConditionClaim {
  readonly type: string;
  readonly holds: boolean;
  readonly reason: string;
  readonly message: string;
}

export interface ConditionWriterOptions {
  readonly client: KubeClient;
  readonly resource: ResourceDef;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: KubeLog;
  /** Wall clock in ms since 1970, for lastTransitionTime. */
  readonly now: () => number;
  /** Longest wait before a write, so that of many nodes one is first. */
  readonly spreadMs: number;
}

export interface ConditionWriter {
  /** What is true now, by name of object; objects that are not named are left as they are. Cheap when nothing changed. */
  publish(claims: ReadonlyMap<string, ConditionClaim>): void;
  stop(): Promise<void>;
}

export function createConditionWriter(options: ConditionWriterOptions): ConditionWriter {
  const { timers, random, spreadMs, resource, log } = options;
  const written = new Map<string, string>();
  let wanted: ReadonlyMap<string, ConditionClaim> = new Map();
  let delay: ReturnType<Timers['set']> | undefined;

  const run = async (signal: AbortSignal): Promise<void> => {
    const failures: unknown[] = [];
    for (const [name, claim] of wanted) {
      const text = JSON.stringify(claim);
      if (written.get(name) === text) continue;
      // one object that cannot be written does not hold up the others
      const failure = await writeClaim(options, name, claim, signal);
      if (failure === undefined) written.set(name, text);
      else failures.push(failure);
    }
    if (failures.length > 0) throw failures[0];
  };

  const worker = new Worker({
    name: `${resource.plural} conditions`,
    run,
    timers,
    random,
    onError: (err, attempt) => log.debug('conditions not written yet', { resource: resource.plural, err, attempt }),
  });

  const start = (): void => {
    delay = undefined;
    worker.start();
    worker.trigger();
  };

  return {
    publish(claims) {
      wanted = new Map(claims);
      // an object that went and came back under its name says nothing yet
      for (const name of written.keys()) if (!wanted.has(name)) written.delete(name);
      const news = [...wanted].some(([name, claim]) => written.get(name) !== JSON.stringify(claim));
      if (news) delay ??= timers.set(start, spreadMs * random());
    },
    async stop() {
      if (delay !== undefined) timers.clear(delay);
      await worker.stop();
    },
  };
}

/** Returns what went wrong; undefined when the object says so now, or is gone. */
async function writeClaim(
  { client, resource, now }: ConditionWriterOptions,
  name: string,
  claim: ConditionClaim,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    const object = await client.find(resource, name, { signal });
    const status = object === undefined ? undefined : withClaim(object, claim, new Date(now()).toISOString());
    if (object !== undefined && status !== undefined)
      await client.replaceStatus(resource, { ...object, status }, { signal });
    return undefined;
  } catch (error) {
    return isStatus(error, 404) ? undefined : error;
  }
}

/** The status of `object` with the claim in it, undefined when it is there already; `now` is RFC 3339. Pure. */
export function withClaim(object: KubeObject, claim: ConditionClaim, now: string): JsonRecord | undefined {
  const status = isRecord(object.status) ? object.status : {};
  const conditions = Array.isArray(status['conditions']) ? status['conditions'].filter(isRecord) : [];
  const before = conditions.find((condition) => condition['type'] === claim.type);
  const next = {
    type: claim.type,
    status: claim.holds ? 'True' : 'False',
    reason: claim.reason,
    message: claim.message,
    observedGeneration: object.metadata.generation ?? 0,
  };
  if (before !== undefined && Object.entries(next).every(([field, value]) => before[field] === value)) return undefined;
  const lastTransitionTime = before?.['status'] === next.status ? before['lastTransitionTime'] : now;
  const others = conditions.filter((condition) => condition !== before);
  return { ...status, conditions: [...others, { ...next, lastTransitionTime }] };
}
