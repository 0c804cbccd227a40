import type { Ip } from '#net';
import type { Capability } from './capability.ts';

/** RFC 4271 §4.2. */
export interface OpenMessage {
  readonly type: 'open';
  readonly version: number;
  /** The two-octet field; AS_TRANS (23456) when the AS needs four, which are then in the four-octet-as capability. */
  readonly as: number;
  /** 0, or at least 3. */
  readonly holdTimeSec: number;
  readonly routerId: Ip;
  readonly capabilities: readonly Capability[];
}
