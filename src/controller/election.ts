// Leader election on a Lease, the acting half: reads and writes the Lease, and says whether this process leads now.
//
// Invariant: `leads()` is computed from the clock, not from a flag, so a process that was stopped for a while knows at once
// that its term is over. The signal of a term fires then too. Standing for election never ends but by stop().
import { apiVersionOf, isRecord, isStatus, resources, type KubeClient, type KubeObject } from '#kube';
import { formatError, type Log } from '#observe';
import { type TimerHandle, type Timers, Worker } from '#reconcile';
import {
  leads,
  leadsUntil,
  type LeaseRead,
  type LeaseRecord,
  type LeaseTiming,
  look,
  lost,
  newCandidacy,
  nextStep,
  won,
} from './lease.ts';

export interface ElectionOptions {
  readonly client: KubeClient;
  readonly lease: { readonly namespace: string; readonly name: string };
  /** Unlike that of every other process there is or was. */
  readonly identity: string;
  readonly timing: LeaseTiming;
  readonly timers: Timers;
  readonly random: () => number;
  /** Wall clock, ms since 1970, for people who read the Lease. */
  readonly now: () => number;
  /** Called when a term begins, and when it ends. */
  readonly onChange: () => void;
  readonly log: Log;
}

/** This process acts no more: its term is over. */
export class NotLeadingError extends Error {}

export interface Election {
  start(): void;
  /** Gives the lease up, so that another may take it at once. */
  stop(): Promise<void>;
  leads(): boolean;
  /** Fires at the end of the present term; undefined when we do not lead. */
  term(): AbortSignal | undefined;
  /** Throws NotLeadingError when we do not lead. */
  readonly guard: () => void;
  /** Who leads, by the last look; undefined when unknown. */
  holder(): string | undefined;
  /** Why the Lease cannot be read or written. */
  fault(): string | undefined;
}

export function createElection(options: ElectionOptions): Election {
  return new LeaseElection(options);
}

class LeaseElection implements Election {
  readonly #options: ElectionOptions;
  readonly #worker: Worker;
  #candidacy = newCandidacy;
  #term: AbortController | undefined;
  #endOfTerm: TimerHandle | undefined;
  #holder: string | undefined;
  #fault: string | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
    const { timers, random, timing } = options;
    const retryMs = timing.retryMs;
    this.#worker = new Worker({
      name: 'election',
      run: (signal) => this.#round(signal),
      timers,
      random,
      resyncMs: retryMs * (1 + 0.2 * random()),
      backoff: { baseMs: retryMs, maxMs: retryMs, jitter: 0.2 },
      onError: (error) => this.#failed(error),
    });
  }

  start(): void {
    this.#worker.start();
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
    const { client, timing } = this.#options;
    const mine = this.leads();
    this.#endTerm();
    if (!mine) return;
    const signal = AbortSignal.timeout(timing.retryMs);
    const object = await this.#find(signal);
    const lease = toRead(object);
    if (object === undefined || lease?.record.holder !== this.#options.identity) return;
    const spec = this.#spec({ ...lease.record, holder: '', leaseMs: 1000 });
    await client.replace(resources.leases, { ...object, spec }, { signal });
  }

  leads(): boolean {
    return leads(this.#candidacy, this.#options.timing, this.#options.timers.now());
  }

  term(): AbortSignal | undefined {
    return this.leads() ? this.#term?.signal : undefined;
  }

  readonly guard = (): void => {
    if (!this.leads()) throw new NotLeadingError('this process does not lead any more');
  };

  holder(): string | undefined {
    return this.#holder;
  }

  fault(): string | undefined {
    return this.#fault;
  }

  async #round(stop: AbortSignal): Promise<void> {
    const { client, identity, timing, timers, now } = this.#options;
    // A call that takes longer than the term is worth nothing; the next attempt begins with a look.
    const signal = AbortSignal.any([stop, AbortSignal.timeout(timing.renewMs / 2)]);
    const object = await this.#find(signal);
    const lease = toRead(object);
    const sentMs = timers.now();
    this.#candidacy = look(this.#candidacy, lease, sentMs);
    const wallTime = new Date(now()).toISOString();
    const step = nextStep(this.#candidacy, lease, { identity, timing, nowMs: sentMs, wallTime });
    if (step.kind === 'wait') {
      this.#follow(step.holder);
      return;
    }
    const spec = this.#spec(step.record);
    const written =
      object === undefined
        ? await client.create(resources.leases, this.#newLease(spec), { signal })
        : await client.replace(resources.leases, { ...object, spec }, { signal });
    this.#lead(written.metadata.resourceVersion ?? '', sentMs);
  }

  async #find(signal: AbortSignal): Promise<KubeObject | undefined> {
    const { namespace, name } = this.#options.lease;
    return await this.#options.client.find(resources.leases, name, { namespace, signal });
  }

  #follow(holder: string): void {
    this.#fault = undefined;
    if (this.#holder !== holder) this.#options.log.info('another process leads', { holder });
    this.#holder = holder;
    this.#candidacy = lost(this.#candidacy);
    this.#endTerm();
  }

  #lead(version: string, sentMs: number): void {
    const { timers, timing, identity, log, onChange } = this.#options;
    this.#fault = undefined;
    // A term that ran out is over, even if the lease is ours again: what was begun in it must not go on.
    if (!this.leads()) this.#endTerm();
    this.#holder = identity;
    this.#candidacy = won(this.#candidacy, version, { sentMs, nowMs: timers.now() });
    if (!this.leads()) return;
    if (this.#endOfTerm !== undefined) timers.clear(this.#endOfTerm);
    const until = leadsUntil(this.#candidacy, timing) ?? sentMs;
    this.#endOfTerm = timers.set(() => this.#endTerm(), until - timers.now());
    if (this.#term !== undefined) return;
    this.#term = new AbortController();
    log.info('this process leads', { identity });
    onChange();
  }

  #endTerm(): void {
    const { timers, log, onChange } = this.#options;
    if (this.#endOfTerm !== undefined) timers.clear(this.#endOfTerm);
    this.#endOfTerm = undefined;
    if (this.#term === undefined) return;
    const term = this.#term;
    this.#term = undefined;
    this.#candidacy = lost(this.#candidacy);
    term.abort(new NotLeadingError('the term is over'));
    log.info('this process leads no more', { reason: this.#fault });
    onChange();
  }

  /** A lost race is the way of elections; anything else is worth a word. */
  #failed(error: unknown): void {
    if (isStatus(error, 409)) return;
    const reason = formatError(error);
    if (this.#fault === undefined) this.#options.log.warn('the lease cannot be read or written', { reason });
    this.#fault = reason;
  }

  #newLease(spec: object): KubeObject {
    const { namespace, name } = this.#options.lease;
    return { apiVersion: apiVersionOf(resources.leases), kind: 'Lease', metadata: { name, namespace }, spec };
  }

  #spec({ holder, leaseMs, transitions, acquired }: LeaseRecord): object {
    return {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      acquireTime: microTime(acquired),
      renewTime: microTime(new Date(this.#options.now()).toISOString()),
      leaseTransitions: transitions,
    };
  }
}

/** A Lease has microseconds: exactly six digits. */
function microTime(rfc3339: string): string {
  const time = Date.parse(rfc3339);
  return new Date(Number.isNaN(time) ? 0 : time).toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}

/** A Lease whose fields are not what they should be counts as nobody's: its version still guards the write. */
function toRead(object: KubeObject | undefined): LeaseRead {
  if (object === undefined) return undefined;
  const spec = isRecord(object.spec) ? object.spec : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const number = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0);
  return {
    version: object.metadata.resourceVersion ?? '',
    record: {
      holder: text(spec['holderIdentity']),
      leaseMs: number(spec['leaseDurationSeconds']) * 1000,
      transitions: number(spec['leaseTransitions']),
      acquired: text(spec['acquireTime']),
    },
  };
}
