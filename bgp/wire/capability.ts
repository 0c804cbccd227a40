import type { AfiSafi } from './family.ts';

export interface GracefulRestartFamily extends AfiSafi {
  /** F bit: forwarding state of this family survived the restart. */
  readonly forwarding: boolean;
}

/** What a speaker announces it can do · RFC 5492 §4. */
export type Capability =
  | { readonly kind: 'multiprotocol'; readonly afi: number; readonly safi: number }
  | { readonly kind: 'route-refresh' }
  | { readonly kind: 'extended-message' }
  | {
      readonly kind: 'graceful-restart';
      /** R bit: the sender has just restarted. */
      readonly restarting: boolean;
      /** N bit: NOTIFICATION and hold time expiry keep routes too · RFC 8538. */
      readonly notification: boolean;
      /** 0–4095 seconds. */
      readonly restartTimeSec: number;
      readonly families: readonly GracefulRestartFamily[];
    }
  | { readonly kind: 'four-octet-as'; readonly as: number }
  | { readonly kind: 'enhanced-route-refresh' }
  | { readonly kind: 'unknown'; readonly value: number; readonly data: Uint8Array };
