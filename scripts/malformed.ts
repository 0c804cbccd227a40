// `node scripts/malformed.ts [PEER…]`: the malformed corpus through our speaker and through every BGP daemon that is
// installed, side by side in namespaces; prints a table, and with no PEER given writes it to docs/interop.md.
// `--write` writes the corpus itself to test/fixtures/bgp/malformed.json and does nothing else.
import { readFileSync, writeFileSync } from 'node:fs';
import { CORPUS, type Outcome, type Row } from '../test/interop/malformed/corpus.ts';
import { DaemonSubject } from '../test/interop/malformed/daemon-subject.ts';
import { Ground } from '../test/interop/malformed/ground.ts';
import { attempt, judge, type Subject, type Verdict } from '../test/interop/malformed/judge.ts';
import { ManxSubject } from '../test/interop/malformed/manx-subject.ts';
import { bird } from '../test/interop/peers/bird.ts';
import type { Daemon } from '../test/interop/peers/daemon.ts';
import { frr } from '../test/interop/peers/frr.ts';
import { gobgp } from '../test/interop/peers/gobgp.ts';
import { openbgpd } from '../test/interop/peers/openbgpd.ts';
import { needRoot } from '../test/support/need.ts';
import { replaceSection } from './interop-page.ts';

const FIXTURE = 'test/fixtures/bgp/malformed.json';
const daemons: readonly Daemon[] = [bird, frr, gobgp, openbgpd];

const VERDICTS: readonly { readonly verdict: Verdict; readonly means: string }[] = [
  { verdict: 'strict', means: 'exactly what the RFC asks for' },
  { verdict: 'acceptable', means: 'what an RFC leaves open, or does no harm' },
  { verdict: 'other code', means: 'right to end the session, with another code' },
  { verdict: 'reset', means: 'session ended where it must live' },
  { verdict: 'wrong accept', means: 'wrong route or OPEN accepted, or the old route kept' },
  { verdict: 'lost', means: 'route withdrawn where it must stay' },
  { verdict: 'silent', means: 'no answer within 4 s' },
  { verdict: 'crash', means: 'process gone' },
];

interface Result {
  readonly version: string;
  readonly outcomes: Readonly<Record<string, Outcome>>;
}

async function runAll(ground: Ground, subject: Subject, again: () => Promise<void>): Promise<Result['outcomes']> {
  const outcomes: Record<string, Outcome> = {};
  for (const [index, row] of CORPUS.entries()) {
    const address = ground.address(index, row.session);
    outcomes[row.name] = await attempt(subject, ground.driver, { row, address, piece: 65_536 }).catch(
      (error: unknown): Outcome => {
        if (!subject.alive()) return 'crash';
        process.stderr.write(`${subject.name}, ${row.name}: ${String(error)}\n`);
        return 'silent';
      },
    );
    if (!subject.alive()) await again();
  }
  return outcomes;
}

async function runDaemon(daemon: Daemon): Promise<Result> {
  const ground = new Ground();
  try {
    const subject = new DaemonSubject(daemon, ground);
    await subject.start();
    return { version: await daemon.version(), outcomes: await runAll(ground, subject, () => subject.start()) };
  } finally {
    await ground.remove();
  }
}

async function runManx(): Promise<Result> {
  const ground = new Ground();
  try {
    const subject = new ManxSubject(ground);
    await subject.listening();
    const outcomes = await runAll(ground, subject, () => Promise.reject(new Error('our speaker crashed')));
    return { version: 'this repository', outcomes };
  } finally {
    await ground.remove();
  }
}

function verdicts(result: Result): ReadonlyMap<Verdict, readonly Row[]> {
  const judged = CORPUS.map((row) => ({ row, verdict: judge(row, result.outcomes[row.name] ?? 'silent') }));
  return new Map(
    VERDICTS.map(({ verdict }) => [verdict, judged.filter((one) => one.verdict === verdict).map(({ row }) => row)]),
  );
}

function table(results: ReadonlyMap<string, Result>): string {
  const names = [...results.keys()];
  const counted = new Map([...results].map(([name, result]) => [name, verdicts(result)]));
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  const counts = VERDICTS.map(({ verdict, means }) =>
    line([`**${verdict}**: ${means}`, ...names.map((name) => counted.get(name)?.get(verdict)?.length ?? 0)]),
  );
  const good: readonly Verdict[] = ['strict', 'acceptable'];
  const differing = CORPUS.filter((row) =>
    [...results.values()].some((result) => !good.includes(judge(row, result.outcomes[row.name] ?? 'silent'))),
  );
  const cell = (row: Row, result: Result | undefined): string => {
    const outcome = result?.outcomes[row.name] ?? 'silent';
    return good.includes(judge(row, outcome)) ? outcome : `**${outcome}**`;
  };
  return [
    `${CORPUS.length} rows, each sent whole on a session of its own over TCP. ` +
      [...results].map(([name, { version }]) => `${name}: ${version}`).join('; ') +
      '.',
    '',
    line(['verdict', ...names]),
    line(['---', ...names.map(() => '---')]),
    ...counts,
    '',
    'Rows where somebody is wrong (bold):',
    '',
    line(['row', 'origin', 'wanted', ...names]),
    line(['---', '---', '---', ...names.map(() => '---')]),
    ...differing.map((row) =>
      line([row.name, row.origin, row.strict.join(' or '), ...names.map((name) => cell(row, results.get(name)))]),
    ),
    '',
  ].join('\n');
}

const wanted = process.argv.slice(2);
if (wanted.includes('--write')) {
  writeFileSync(FIXTURE, `[\n${CORPUS.map((row) => `  ${JSON.stringify(row)}`).join(',\n')}\n]\n`);
} else {
  const { skip } = needRoot('ip', 'nsenter');
  if (skip !== undefined) throw new Error(skip);
  const wants = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
  const ready = daemons.filter(({ name, programs }) => {
    const missing = needRoot(...programs).skip;
    if (wants(name) && missing !== undefined) process.stderr.write(`${name} left out: ${missing}\n`);
    return wants(name) && missing === undefined;
  });
  const runs = [
    ...(wants('Manx') ? [{ name: 'Manx', run: runManx }] : []),
    ...ready.map((daemon) => ({ name: daemon.name, run: () => runDaemon(daemon) })),
  ].map(async ({ name, run }) => {
    const begin = performance.now();
    const result = await run();
    process.stderr.write(`${name}: ${((performance.now() - begin) / 1000).toFixed(0)} s\n`);
    return [name, result] as const;
  });
  const results = new Map(await Promise.all(runs));
  const text = table(results);
  process.stdout.write(text);
  if (wanted.length === 0) {
    writeFileSync('docs/interop.md', replaceSection(readFileSync('docs/interop.md', 'utf8'), 'malformed', text));
  }
}
