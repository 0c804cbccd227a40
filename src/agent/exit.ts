// How the agent ends: a fault is a sentence that names the thing and what to do, with a documented exit code.
//
// Codes are those of sysexits(3); src/agent/README.md lists them. Anything else that reaches the top is our own mistake
// and ends with 70. Invariant: no exit, whichever, changes the kernel.
import { formatError } from '#observe';
import { SettingsError } from './settings.ts';

export const exitCodes = {
  ok: 0,
  /** EX_UNAVAILABLE: a program or kernel feature the agent needs is absent. */
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

/** Something that ends the agent. The message is one sentence for the person who has to act. */
export class AgentFault extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AgentFault';
    this.exitCode = exitCode;
  }
}

/** Throws AgentFault 77 unless the process runs as root. */
export function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  const what = 'the agent changes routes and interfaces and must run as root (CAP_NET_ADMIN)';
  throw new AgentFault(exitCodes.permission, what);
}

/** Runs one step of starting; what it throws becomes an AgentFault with `exitCode`. */
export async function orFault<T>(exitCode: number, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof AgentFault) throw error;
    throw new AgentFault(exitCode, formatError(error), { cause: error });
  }
}

/** Lines for stderr and the exit code of whatever ended the agent. */
export function describeEnd(error: unknown): { readonly lines: readonly string[]; readonly code: number } {
  if (error instanceof SettingsError) return { lines: error.faults, code: exitCodes.config };
  if (error instanceof AgentFault) return { lines: [error.message], code: error.exitCode };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { lines: [`unexpected: ${stack}`], code: exitCodes.software };
}
