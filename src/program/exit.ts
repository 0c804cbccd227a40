// How a program ends: a fault is a sentence that names the thing and what to do, with a documented exit code.
//
// Codes are those of sysexits(3); the README of each program lists its own. Anything else that reaches the top is our own
// mistake and ends with 70.
import { formatError } from '#observe';
import { SettingsError } from './settings.ts';

export const exitCodes = {
  ok: 0,
  /** EX_UNAVAILABLE: a program or kernel feature that is needed is absent. */
  missing: 69,
  /** EX_SOFTWARE: a mistake of ours. */
  software: 70,
  /** EX_OSERR: a port, socket or folder cannot be had. */
  system: 71,
  /** EX_NOPERM: not root. */
  permission: 77,
  /** EX_CONFIG: settings or kubeconfig. */
  config: 78,
} as const;

/** Something that ends a program. The message is one sentence for the person who has to act. */
export class ProgramFault extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ProgramFault';
    this.exitCode = exitCode;
  }
}

/** Throws ProgramFault 77 unless the process runs as root; `why` completes "… and must run as root". */
export function requireRoot(why: string): void {
  if (process.getuid?.() !== 0)
    throw new ProgramFault(exitCodes.permission, `${why} and must run as root (CAP_NET_ADMIN)`);
}

/** Runs one step of starting; what it throws becomes a ProgramFault with `exitCode`. */
export async function orFault<T>(exitCode: number, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof ProgramFault) throw error;
    throw new ProgramFault(exitCode, formatError(error), { cause: error });
  }
}

/** Lines for stderr and the exit code of whatever ended the program. */
export function describeEnd(error: unknown): { readonly lines: readonly string[]; readonly code: number } {
  if (error instanceof SettingsError) return { lines: error.faults, code: exitCodes.config };
  if (error instanceof ProgramFault) return { lines: [error.message], code: error.exitCode };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { lines: [`unexpected: ${stack}`], code: exitCodes.software };
}
