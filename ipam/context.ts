// What the moving parts of IPAM share: the store, the world handed in (clock, chance, sleep, log) and the settings.

import type { Prefix } from '#net';
import type { Pool } from './pool.ts';
import type { IpamStore } from './store.ts';

export interface IpamLog {
  debug(message: string, fields: Readonly<Record<string, unknown>>): void;
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** What IPAMConfiguration says; read anew for every decision. */
export interface IpamSettings {
  /** Never use an address of a block that belongs to another node. */
  readonly strictAffinity: boolean;
  /** Whether nodes claim blocks when they need one; if not, they use the ones they have. */
  readonly autoAllocateBlocks: boolean;
  /** Blocks of one family this node may own; 0 = any number. */
  readonly maxBlocksPerNode: number;
  /** How long a released address rests before it is handed out again. */
  readonly cooldownSeconds: number;
  /** ensureBlocks claims a block when fewer addresses than this are free; at most a quarter of a block is kept free. */
  readonly spareAddresses: number;
  /** Ranges that only a request for the very address gets addresses of (IPReservation). */
  readonly reserved: readonly Prefix[];
}

/** Borrowing allowed, any number of blocks, no cool-down. */
export const DEFAULT_SETTINGS: IpamSettings = {
  strictAffinity: false,
  autoAllocateBlocks: true,
  maxBlocksPerNode: 0,
  cooldownSeconds: 0,
  spareAddresses: 8,
  reserved: [],
};

export interface IpamContext {
  readonly node: string;
  readonly store: IpamStore;
  readonly pools: () => readonly Pool[];
  readonly settings: () => IpamSettings;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random: () => number;
  readonly sleep: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly log: IpamLog;
}
