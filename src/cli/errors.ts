// Error → one sentence and an exit code. The table of codes is in src/cli/README.md.
import { KubeError } from '#kube';
import { HostError, LabApiError, LabTimeoutError } from '#lab';

export const exitCodes = { ok: 0, error: 1, degraded: 3, unreachable: 4, timeout: 5 } as const;

/** A failure that is the command's own to explain; the message may have several lines. */
export class CliError extends Error {}

export interface DescribedError {
  readonly message: string;
  readonly exitCode: number;
}

export function describeError(error: unknown): DescribedError {
  if (error instanceof HostError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof LabTimeoutError) return { message: error.message, exitCode: exitCodes.timeout };
  if (error instanceof LabApiError) return { message: error.message, exitCode: exitCodes.error };
  if (error instanceof KubeError && error.code === 'API_UNREACHABLE') {
    return { message: error.message, exitCode: exitCodes.unreachable };
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { message: 'the API server did not answer in time', exitCode: exitCodes.timeout };
  }
  if (error instanceof Error && 'cause' in error && error.message === 'fetch failed') {
    return {
      message: 'the API server of the lab does not answer: `manxctl lab status` shows its process',
      exitCode: exitCodes.unreachable,
    };
  }
  return { message: error instanceof Error ? error.message : String(error), exitCode: exitCodes.error };
}
