/**
 * The malformed corpus: every row one thing a peer can get wrong, with what the RFCs want to happen. Rows with an `origin`
 * of a CVE took a real speaker down. test/fixtures/bgp/malformed.json is this list written out (`node scripts/malformed.ts
 * --write`), for programs that want bytes only.
 */
import { attributeRows } from './corpus-attributes.ts';
import { openRows } from './corpus-open.ts';
import { streamRows } from './corpus-stream.ts';
import { updateRows } from './corpus-update.ts';
import type { SessionKind } from './bytes.ts';

/**
 * What came of it. An announcement is `kept` (the tested route has the new path), `withdrawn` (the route is gone) or `old`
 * (the message changed nothing); an OPEN is `accepted`. `reset 3/1` is a NOTIFICATION, `reset` a closed connection
 * without one.
 */
export type Outcome = 'kept' | 'withdrawn' | 'old' | 'accepted' | 'silent' | 'crash' | 'reset' | `reset ${string}`;

export interface Row {
  readonly name: string;
  /** Who was hit by it, or which rule it breaks. */
  readonly origin: string;
  readonly session: SessionKind;
  /** The state in which it is sent: instead of the OPEN, instead of the first KEEPALIVE, or in Established. */
  readonly phase: 'open' | 'confirm' | 'established';
  readonly hex: string;
  /** Which family's tested route the outcome is read from. */
  readonly family: 4 | 6;
  /** What the RFC in force asks for, any of these. */
  readonly strict: readonly Outcome[];
  /** What one may do as well without harm. */
  readonly acceptable: readonly Outcome[];
}

export const CORPUS: readonly Row[] = [...streamRows(), ...openRows(), ...updateRows(), ...attributeRows()];
