/** What Felix is built with: settings, a logger, time and randomness, handed in by the program. */
import type { Timers } from '#reconcile';
import type { RouteBackend, RouteOwnership } from './driver/route-backend.ts';

/** Numbers and names Felix owns its kernel objects by; start from `defaultFelixSettings`. */
export interface FelixSettings {
  readonly interfacePrefix: string;
  readonly routeProtocol: number;
  readonly metric: number;
  /** Bytes, for pod interfaces; absent means the MTU of the interface that holds the node's address. */
  readonly mtu?: number;
  /** Longest time between two full audits of the kernel. */
  readonly resyncMs: number;
}

/** A structured logger: pino's is one. */
export interface FelixLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface FelixOptions {
  readonly settings: FelixSettings;
  readonly log: FelixLog;
  readonly timers: Timers;
  readonly random: () => number;
  /** Opens another way to the routing table than iproute2's children; undefined = it is not to be had here. */
  readonly routeBackend?: (ownership: RouteOwnership) => Promise<RouteBackend | undefined>;
}
