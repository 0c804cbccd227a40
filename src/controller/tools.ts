// What every part of the controller is built with.
import type { Log } from '#observe';
import type { Timers } from '#reconcile';
import type { Settings } from './settings.ts';

export interface Tools {
  readonly settings: Settings;
  readonly timers: Timers;
  readonly random: () => number;
  readonly log: Log;
  /** Something changed that loops decide by. Cheap, safe to call too often. */
  readonly changed: () => void;
}
