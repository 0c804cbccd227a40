/** The ways Felix fails, by stable code; messages are one sentence naming the object and what to do about it. */
export type FelixErrorCode =
  /** The process may not change this network namespace. */
  | 'NOT_ROOT'
  /** A program Felix drives (`ip`, `nsenter`) is absent. */
  | 'PROGRAM_MISSING'
  /** The kernel lacks something without which no pod can be wired. */
  | 'KERNEL_FEATURE'
  /** Setting or input that can never work: an interface name too long, a namespace path with odd characters. */
  | 'INVALID'
  /** The pod's network namespace is not there. */
  | 'NETNS_MISSING'
  /** The name is taken in the pod or on the host by something that is not ours. */
  | 'INTERFACE_TAKEN'
  /** The kernel or a child process refused; worth trying again. */
  | 'KERNEL_REFUSED'
  /** A child process did not answer in time or died; what it had in hand is unknown until the next read-back. */
  | 'CHILD_LOST'
  /** Felix was stopped, or not started yet. */
  | 'STOPPED';

/** Every error Felix throws across its door. */
export class FelixError extends Error {
  readonly code: FelixErrorCode;

  constructor(code: FelixErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FelixError';
    this.code = code;
  }
}
