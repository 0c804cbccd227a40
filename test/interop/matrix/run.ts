/** Runs stories against daemons, a few at a time, and turns what happened into cells. */
import { hasProgram } from '../../support/need.ts';
import { bird } from '../peers/bird.ts';
import type { Daemon } from '../peers/daemon.ts';
import { frr } from '../peers/frr.ts';
import { gobgp } from '../peers/gobgp.ts';
import { openbgpd } from '../peers/openbgpd.ts';
import { Lab } from './lab.ts';
import { type Story, Unsupported } from './stories.ts';

export const DAEMONS: readonly Daemon[] = [bird, frr, gobgp, openbgpd];

export interface Cell {
  readonly feature: string;
  readonly result: 'pass' | 'fail' | 'unsupported';
  readonly note: string;
}

export function missingPrograms(daemon: Daemon): readonly string[] {
  return daemon.programs.filter((program) => !hasProgram(program));
}

/** One story against one daemon: a cell for each of its features. */
export async function runStory(daemon: Daemon, story: Story): Promise<readonly Cell[]> {
  const cells: Cell[] = [];
  const lab = new Lab(daemon, story.wishes);
  try {
    await story.run(lab, async (feature, check) => {
      try {
        cells.push({ feature, result: 'pass', note: (await check()) ?? '' });
      } catch (error) {
        // The others may still pass.
        cells.push({ feature, ...failure(error, lab) });
      }
    });
  } catch (error) {
    const done = new Set(cells.map(({ feature }) => feature));
    for (const feature of story.features)
      if (!done.has(feature)) cells.push({ feature, result: 'fail', note: textOf(error) });
  } finally {
    await lab.remove();
  }
  return cells;
}

function failure(error: unknown, lab: Lab): Pick<Cell, 'result' | 'note'> {
  if (error instanceof Unsupported) return { result: 'unsupported', note: error.message };
  return { result: 'fail', note: `${textOf(error)} ${lab.printed.slice(-400)}` };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
