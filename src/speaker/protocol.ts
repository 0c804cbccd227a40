/**
 * What the agent's main thread and the speaker's thread say to each other.
 *
 * Best-path changes wait in the speaker by prefix, so that a main thread that is busy gets the last state of each prefix
 * once; at most one batch is under way, and the next is sent when the receiver has taken it.
 */
import type {
  LogFields,
  OriginatedRoute,
  PackedBestPaths,
  PeerChange,
  PeerSpec,
  ResetKind,
  SpeakerErrorCode,
  SpeakerLog,
} from '#bgp';

export type SpeakerRequest =
  | { readonly kind: 'start' | 'peers' | 'routes'; readonly id: number }
  | { readonly kind: 'stop'; readonly id: number; readonly mode: 'restart' | 'shutdown' }
  | { readonly kind: 'reset'; readonly id: number; readonly peer: string; readonly how: ResetKind }
  | { readonly kind: 'peer-gone'; readonly peer: string }
  | { readonly kind: 'set-peers'; readonly peers: readonly PeerSpec[] }
  | { readonly kind: 'set-originated'; readonly routes: readonly OriginatedRoute[] }
  | { readonly kind: 'batch-taken' };

export type SpeakerReport =
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly code: SpeakerErrorCode | undefined;
      readonly message: string;
    }
  | { readonly kind: 'best-paths'; readonly batch: PackedBestPaths }
  | { readonly kind: 'peer-change'; readonly change: PeerChange }
  | { readonly kind: 'log'; readonly level: keyof SpeakerLog; readonly message: string; readonly fields: LogFields };
