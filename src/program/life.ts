// Starting and stopping a program: parts are started in order and stopped in reverse, each stop bounded, and one thing
// ends it all.
//
// Invariant: when a start fails, everything started before is stopped; what the failed part left is its own business.
import { setTimeout as delay } from 'node:timers/promises';
import { formatError, type Log } from '#observe';

export interface Part {
  start(): Promise<void> | void;
  stop(): Promise<void> | void;
}

const stopTimeoutMs = 5000;

/** The life of a program; `E` says how it can end. */
export class Life<E> {
  readonly #stops: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  readonly #controller = new AbortController();
  readonly #ended = Promise.withResolvers<E>();
  readonly #log: Log;

  /**
   * `signals`: what each signal means. The first decides, later ones change nothing; SIGKILL is harmless at any time.
   * Listeners stay (`on`, not `once`): execa watches signals too, and ends the process when no other listener is left.
   */
  constructor(log: Log, signals: Readonly<Partial<Record<NodeJS.Signals, E>>>) {
    this.#log = log;
    for (const [name, ending] of Object.entries(signals)) process.on(name, () => this.end(ending));
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

  /** Runs `stop` when the program stops, before everything registered earlier. */
  onStop(name: string, stop: () => Promise<void> | void): void {
    this.#stops.push({ name, stop });
  }

  /** Says that the program shall end; the first call decides why. */
  end(ending: E): void {
    this.#ended.resolve(ending);
    this.#controller.abort();
  }

  ended(): Promise<E> {
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
