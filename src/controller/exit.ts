// How the controller ends: a fault is a sentence that names the thing and what to do, with a documented exit code.
//
// Codes are those of sysexits(3); README.md lists them. Anything else that reaches the top is our own mistake: 70.
import { formatError } from '#observe';
import { SettingsError } from './settings.ts';

export const exitCodes = {
  ok: 0,
  /** EX_SOFTWARE: a mistake of ours. */
  software: 70,
  /** EX_OSERR: a port cannot be had. */
  system: 71,
  /** EX_CONFIG: settings or kubeconfig. */
  config: 78,
} as const;

/** Something that ends the controller. The message is one sentence for the person who has to act. */
class ControllerFault extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ControllerFault';
    this.exitCode = exitCode;
  }
}

/** Runs one step of starting; what it throws becomes a ControllerFault with `exitCode`. */
export async function orFault<T>(exitCode: number, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new ControllerFault(exitCode, formatError(error), { cause: error });
  }
}

/** Lines for stderr and the exit code of whatever ended the controller. */
export function describeEnd(error: unknown): { readonly lines: readonly string[]; readonly code: number } {
  if (error instanceof SettingsError) return { lines: error.faults, code: exitCodes.config };
  if (error instanceof ControllerFault) return { lines: [error.message], code: error.exitCode };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { lines: [`unexpected: ${stack}`], code: exitCodes.software };
}
