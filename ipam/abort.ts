// Waiting with a way out. Writes are shared by several callers, so a write is given up only when all of them gave up.

import { IpamError } from './errors.ts';

/** The error of a call whose signal fired. */
export function abortedError(what: string, signal: AbortSignal): IpamError {
  return new IpamError('ABORTED', `${what}: given up before it was done`, signal.reason);
}

/** The promise's outcome, or ABORTED as soon as the signal fires; the work itself goes on. */
export function orAborted<T>(promise: Promise<T>, what: string, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(what, signal));
    if (signal.aborted) {
      onAbort();
    }
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** A signal that fires when every signal that joined has fired. */
export class JointSignal {
  readonly #controller = new AbortController();
  readonly #joined = new Set<AbortSignal>();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  join(signal: AbortSignal): void {
    this.#joined.add(signal);
    signal.addEventListener('abort', this.#onAbort);
  }

  /** Stops listening; to be called when the shared work is done. */
  dispose(): void {
    for (const signal of this.#joined) {
      signal.removeEventListener('abort', this.#onAbort);
    }
    this.#joined.clear();
  }

  readonly #onAbort = (): void => {
    if ([...this.#joined].every((signal) => signal.aborted)) {
      this.#controller.abort([...this.#joined][0]?.reason);
    }
  };
}

interface Flight<T> {
  readonly joint: JointSignal;
  readonly promise: Promise<T>;
}

/** Runs the same work once for everybody who asks while it runs. */
export class SharedWork<T> {
  readonly #what: string;
  readonly #run: (signal: AbortSignal) => Promise<T>;
  #flight: Flight<T> | undefined;

  constructor(what: string, run: (signal: AbortSignal) => Promise<T>) {
    this.#what = what;
    this.#run = run;
  }

  /** True while nobody's work runs. */
  get isIdle(): boolean {
    return this.#flight === undefined;
  }

  /** Joins the work in progress, or begins it. */
  async join(signal: AbortSignal): Promise<T> {
    while (this.#flight?.joint.signal.aborted === true) {
      await orAborted(
        this.#flight.promise.catch(() => undefined),
        this.#what,
        signal,
      );
    }
    const flight = this.#flight ?? this.#begin();
    flight.joint.join(signal);
    return await orAborted(flight.promise, this.#what, signal);
  }

  #begin(): Flight<T> {
    const joint = new JointSignal();
    const promise = this.#run(joint.signal).finally(() => {
      joint.dispose();
      this.#flight = undefined;
    });
    this.#flight = { joint, promise };
    return this.#flight;
  }
}

/** Runs work one at a time per key, in the order of asking. */
export class KeyedLock<K> {
  readonly #last = new Map<K, Promise<unknown>>();

  async run<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === settled) {
        this.#last.delete(key);
      }
    }
  }
}
