/**
 * What a peer can do wrong, as values the speaker acts on.
 *
 * A decode error knows its NOTIFICATION: whoever catches a WireError sends exactly its code, subcode and data
 * (RFC 4271 §4.5, §6) and closes. No byte a peer sends may raise anything else. Attribute errors that RFC 7606 lets a
 * session survive are not thrown at all: they are returned with the UPDATE they came in (see wire/update.ts).
 */
const NO_DATA = new Uint8Array(0);

/** The bytes break the protocol and the session must end with this NOTIFICATION · RFC 4271 §6. */
export class WireError extends Error {
  override readonly name = 'WireError';
  /** NOTIFICATION error code, 1–7 (bgp/iana.ts ErrorCode). */
  readonly code: number;
  /** NOTIFICATION error subcode, 0 = unspecific. */
  readonly subcode: number;
  /** NOTIFICATION data as the RFC asks for that code; may be empty. */
  readonly data: Uint8Array;

  constructor(code: number, subcode: number, message: string, data: Uint8Array = NO_DATA) {
    super(message);
    this.code = code;
    this.subcode = subcode;
    this.data = data;
  }
}

export type SpeakerErrorCode = 'LISTEN_TAKEN' | 'LISTEN_DENIED' | 'LISTEN_ADDRESS' | 'LISTEN_FAILED';

/** The world does not let the speaker start; the message names the address and port. */
export class SpeakerError extends Error {
  override readonly name = 'SpeakerError';
  readonly code: SpeakerErrorCode;

  constructor(code: SpeakerErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
