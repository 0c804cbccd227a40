// What every part of the agent is built with.
import type { Life } from '#program';
import type { Log } from '#observe';
import type { Timers } from '#reconcile';
import type { Settings } from './settings.ts';

export interface Tools {
  readonly settings: Settings;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
  /** Something changed that others decide by: triggers every loop. Cheap, safe to call too often. */
  readonly changed: () => void;
}

/** Calls every listener; the hub behind `Tools.changed`. */
export interface Hub {
  readonly changed: () => void;
  add(listener: () => void): void;
}

export function createHub(): Hub {
  const listeners: (() => void)[] = [];
  return {
    changed: () => {
      for (const listener of listeners) listener();
    },
    add: (listener) => void listeners.push(listener),
  };
}

/** Why the agent ends. `restart` leaves peers and kernel as they are; `drain` withdraws first. */
export type Ending =
  | { readonly kind: 'restart' | 'drain'; readonly reason: string }
  | { readonly kind: 'fault'; readonly error: unknown };

export type AgentLife = Life<Ending>;
