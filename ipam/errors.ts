// Errors of IPAM. Every failure a caller can act on is an IpamError with a stable code; the message is for people and
// names the object, the field and what was expected. Absence is not an error anywhere in this folder.

export type IpamErrorCode =
  | 'CONFLICT' // the object changed since it was read, or exists already
  | 'NOT_FOUND' // the object to change is absent
  | 'UNAVAILABLE' // the store did not answer, or answered nothing certain: the write may or may not have happened
  | 'CORRUPT' // the object exists and cannot be understood
  | 'INVALID_REQUEST' // the request asks for a pool or an address that cannot be had
  | 'ADDRESS_TAKEN' // the address asked for is held by somebody else
  | 'NO_POOL' // no pool may serve this node and family
  | 'POOL_EXHAUSTED' // every pool that may serve is full, or a limit was reached
  | 'CONTENDED' // too many conflicts in a row
  | 'NOT_READY' // recover() has not finished
  | 'ABORTED'; // the caller's signal fired

const RETRYABLE: ReadonlySet<IpamErrorCode> = new Set([
  'CONFLICT',
  'NOT_FOUND',
  'UNAVAILABLE',
  'CONTENDED',
  'NOT_READY',
  'ABORTED',
]);

/** A failure of IPAM with a stable `code`; `cause` holds the failure below it, if any. */
export class IpamError extends Error {
  readonly code: IpamErrorCode;

  constructor(code: IpamErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.name = 'IpamError';
    this.code = code;
  }

  /** True when the same call may succeed later with nobody changing the configuration. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

/** Tells whether a caught value is an IpamError of one of the given codes. */
export function isIpamError(error: unknown, ...codes: readonly IpamErrorCode[]): error is IpamError {
  return error instanceof IpamError && (codes.length === 0 || codes.includes(error.code));
}
