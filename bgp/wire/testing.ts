/** What the tests of the wire codec share; nothing outside tests imports it. */
import { WireError } from '../errors.ts';
import type { WireContext } from './context.ts';
import { formatHex, parseHex } from './hex.ts';

/** A session that negotiated all we speak. */
export const FULL_CONTEXT: WireContext = {
  fourOctetAs: true,
  extendedMessages: false,
  peerType: 'ebgp',
  families: [4, 6],
};

/** One vector of a codec test. */
export interface Vector<T> {
  readonly name: string;
  /** Whole message or value, white space allowed. */
  readonly hex: string;
  readonly value: T;
  /** What the formatter says. */
  readonly text: string;
  /** Where the bytes come from. */
  readonly source: string;
}

/** `code/subcode` and the data of the WireError that `run` throws, or 'none'; any other error is passed on. */
export function outcome(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return `${error.code}/${error.subcode} ${formatHex(error.data)}`.trimEnd();
  }
  return 'none';
}

/** A whole message around a body: marker, right length, type. */
export function messageOf(type: number, bodyHex: string): Uint8Array {
  const body = parseHex(bodyHex);
  const length = body.length + 19;
  return Uint8Array.of(...new Uint8Array(16).fill(0xff), length >> 8, length & 0xff, type, ...body);
}

/** The first `length` bytes of a message with its length field set to that, so that only the body is short. */
export function cutMessage(message: Uint8Array, length: number): Uint8Array {
  const cut = message.slice(0, length);
  cut[16] = length >> 8;
  cut[17] = length & 0xff;
  return cut;
}
