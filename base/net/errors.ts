/**
 * The one error of base/net: text, bytes or numbers that are no address, no prefix, or outside one. It says what was
 * read, which part of it was wrong and what was expected; `code` is stable and may be tested by callers.
 */

/** Why something is not an address or a prefix, or an operation on one has no answer. */
export type AddressErrorCode =
  | 'ADDRESS_SYNTAX'
  | 'ADDRESS_ZONE'
  | 'ADDRESS_MAPPED'
  | 'ADDRESS_BYTES'
  | 'PREFIX_SYNTAX'
  | 'PREFIX_LENGTH'
  | 'HOST_BITS'
  | 'OUT_OF_RANGE';

const QUOTE_LIMIT = 64;

/** A refused address or prefix; `text` is the whole of what was refused, the message quotes at most 64 characters. */
export class AddressError extends Error {
  readonly code: AddressErrorCode;
  readonly text: string;

  constructor(code: AddressErrorCode, text: string, reason: string) {
    super(`${quote(text)}: ${reason}`);
    this.name = 'AddressError';
    this.code = code;
    this.text = text;
  }
}

/** Quotes foreign text for a message: control characters escaped, cut so that a hostile value cannot flood a log. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTE_LIMIT ? `${text.slice(0, QUOTE_LIMIT)}…` : text);
}
