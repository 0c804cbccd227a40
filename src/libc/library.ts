/**
 * The C library of this process, by koffi: an optional dependency, loaded when something first asks for it.
 *
 * Absent (another platform, an install without optional packages) is an answer with a reason, never an exception at
 * start-up: who needs it refuses by name what cannot be done.
 */
import { createRequire } from 'node:module';
import type Koffi from 'koffi';

export interface CLibrary {
  readonly koffi: typeof Koffi;
  /** Declares a function of the C library, such as `int close(int fd)`. */
  readonly declare: (definition: string) => (...args: readonly unknown[]) => number;
}

export type Loaded =
  | { readonly ok: true; readonly library: CLibrary }
  | { readonly ok: false; readonly reason: string };

let loaded: Loaded | undefined;

/** The library, or why there is none; the same answer every time within a thread. */
export function loadLibrary(): Loaded {
  loaded ??= load();
  return loaded;
}

function load(): Loaded {
  if (process.platform !== 'linux') return { ok: false, reason: `this is ${process.platform}, expected linux` };
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const library = koffi.load(null);
    return { ok: true, library: { koffi, declare: (definition) => library.func(definition) } };
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { ok: false, reason: `the package koffi cannot be loaded (${line})` };
  }
}
