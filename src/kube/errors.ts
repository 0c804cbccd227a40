/**
 * The errors of the Kubernetes adapter: an answer of the API server that is no success, no answer at all, or a configuration
 * that does not say how to reach one. Codes are stable; `status` is the HTTP status, 0 when there was no answer.
 */

export type KubeErrorCode =
  | 'API_STATUS' // the API server answered and refused
  | 'API_UNREACHABLE' // no answer, or the connection broke before the answer was whole
  | 'API_PROTOCOL'; // the answer is not what a Kubernetes API server says

export interface KubeErrorDetails {
  readonly code: KubeErrorCode;
  readonly status?: number;
  /** `reason` of the Status object, such as NotFound, Conflict, AlreadyExists, Expired; empty when there was none. */
  readonly reason?: string;
  readonly retryAfterSec?: number | undefined;
  readonly cause?: unknown;
}

/** A failed call; `message` says method, path and the server's own words. */
export class KubeError extends Error {
  readonly code: KubeErrorCode;
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSec: number | undefined;

  constructor(message: string, details: KubeErrorDetails) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'KubeError';
    this.code = details.code;
    this.status = details.status ?? 0;
    this.reason = details.reason ?? '';
    this.retryAfterSec = details.retryAfterSec;
  }
}

/** Whether `error` is an answer of the API server with this HTTP status. */
export function isStatus(error: unknown, status: number): error is KubeError {
  return error instanceof KubeError && error.status === status;
}

/** Thrown before any call: names the file (or the service account) and the field at fault. */
export class KubeConfigError extends Error {
  readonly code = 'KUBECONFIG';
  readonly source: string;

  constructor(source: string, problem: string, cause?: unknown) {
    super(`${source}: ${problem}`, cause === undefined ? {} : { cause });
    this.name = 'KubeConfigError';
    this.source = source;
  }
}
