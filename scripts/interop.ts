// `npm run interop`: every story of test/interop/matrix against every daemon that is installed, in namespaces; prints the
// matrix and writes it, with versions, to docs/interop.md. Exits 1 when a cell failed.
import { readFileSync, writeFileSync } from 'node:fs';
import { type Cell, DAEMONS, missingPrograms, runStory } from '../test/interop/matrix/run.ts';
import { STORIES } from '../test/interop/matrix/stories.ts';
import { needRoot } from '../test/support/need.ts';
import { replaceSection } from './interop-page.ts';

const PAGE = 'docs/interop.md';
const AT_ONCE = 4;

const { skip } = needRoot('ip', 'nsenter', 'tcpdump');
if (skip !== undefined) throw new Error(skip);

const daemons = DAEMONS.filter((daemon) => missingPrograms(daemon).length === 0);
const jobs = STORIES.flatMap((story) => daemons.map((daemon) => ({ daemon, story })));
const cells = new Map<string, Cell>();

async function work(): Promise<void> {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
    const { daemon, story } = job;
    for (const cell of await runStory(daemon, story)) {
      cells.set(`${daemon.name} ${cell.feature}`, cell);
      process.stderr.write(`${cell.result} ${daemon.name}: ${cell.feature} ${cell.note}\n`);
    }
  }
}

/** Words for one cell; a remark of several cells alike is better said once, so it stays short. */
function show(cell: Cell | undefined): string {
  if (cell === undefined) return 'not run';
  const note = cell.note.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 160);
  const result = cell.result === 'fail' ? '**fail**' : cell.result;
  return note === '' ? result : `${result}: ${note}`;
}

const begin = performance.now();
await Promise.all(Array.from({ length: AT_ONCE }, work));
const versions = await Promise.all(daemons.map((daemon) => daemon.version()));
const left = DAEMONS.filter((daemon) => !daemons.includes(daemon)).map(({ name }) => name);
const line = (parts: readonly string[]): string => `| ${parts.join(' | ')} |`;
const text = [
  line(['feature', ...versions]),
  line(['---', ...daemons.map(() => '---')]),
  ...STORIES.flatMap(({ features }) => features).map((feature) =>
    line([feature, ...daemons.map(({ name }) => show(cells.get(`${name} ${feature}`)))]),
  ),
  '',
  'Routes, next hops and session states are read in the daemon’s own command line; NOTIFICATIONs, End-of-RIB and',
  'ROUTE-REFRESH from the wire. “Killed” is SIGKILL to every process of that side, “freeze” is SIGSTOP.',
  '',
].join('\n');
process.stdout.write(`${text}\n${cells.size} cells in ${((performance.now() - begin) / 1000).toFixed(0)} s\n`);
if (left.length > 0) process.stdout.write(`left out, not installed: ${left.join(', ')}; ${PAGE} not written\n`);
else writeFileSync(PAGE, replaceSection(readFileSync(PAGE, 'utf8'), 'features', text));
process.exitCode = [...cells.values()].some(({ result }) => result === 'fail') ? 1 : 0;
