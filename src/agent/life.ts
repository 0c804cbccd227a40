// Starting and stopping: parts are started in order and stopped in reverse, each stop bounded, and one thing ends it all.
//
// Invariant: when a start fails, everything started before is stopped; what the failed part left is its own business.
import { setTimeout as delay } from 'node:timers/promises';
import { formatError, type Log } from '#observe';

/** Why the agent ends. `restart` leaves peers and kernel as they are; `drain` withdraws first. */
export type Ending =
  | { readonly kind: 'restart' | 'drain'; readonly reason: string }
  | { readonly kind: 'fault'; readonly error: unknown };

export interface Part {
  start(): Promise<void> | void;
  stop(): Promise<void> | void;
}

const stopTimeoutMs = 5000;

export class Life {
  readonly #stops: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  readonly #controller = new AbortController();
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
    // The first signal decides, later ones change nothing; SIGKILL is harmless at any time. `on` and not `once`: execa
    // watches signals too, and ends the process at once when no other listener is left.
    process.on('SIGTERM', () => this.end({ kind: 'restart', reason: 'SIGTERM' }));
    process.on('SIGINT', () => this.end({ kind: 'restart', reason: 'SIGINT' }));
    process.on('SIGUSR2', () => this.end({ kind: 'drain', reason: 'SIGUSR2' }));
  }

  /** Fires when the end has come. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts one part and remembers to stop it. */
  async start(name: string, part: Part): Promise<void> {
    await part.start();
    this.onStop(name, () => part.stop());
  }

  /** Runs `stop` when the agent stops, before everything registered earlier. */
  onStop(name: string, stop: () => Promise<void> | void): void {
    this.#stops.push({ name, stop });
  }

  /** Says that the agent shall end; the first call decides why. */
  end(ending: Ending): void {
    this.#ended.resolve(ending);
    this.#controller.abort();
  }

  ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  /** Stops all parts in reverse; one that hangs or fails is named and does not keep the others. */
  async stop(): Promise<void> {
    for (const { name, stop } of this.#stops.splice(0).toReversed()) {
      const timeout = new AbortController();
      const late = delay(stopTimeoutMs, 'it takes too long', { signal: timeout.signal }).catch(() => undefined);
      const reason = await Promise.race([tryStop(stop), late]);
      timeout.abort();
      if (reason !== undefined) this.#log.warn('part did not stop cleanly', { part: name, reason });
    }
  }
}

/** Undefined when it stopped, else why not. */
async function tryStop(stop: () => Promise<void> | void): Promise<string | undefined> {
  try {
    await stop();
    return undefined;
  } catch (error) {
    return formatError(error);
  }
}
