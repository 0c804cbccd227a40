// `npm test`: every suite in one run of Node's test runner, so that its own summary closes the output.
//
// Suites are folders. What a machine cannot run (no root, no kubectl) is skipped by the test itself with a reason; all
// reasons are printed together before the summary. In CI as root a reason that test/expected-absent does not list fails
// the run: a skipped test must never look like a passed one.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const suites: Readonly<Record<string, readonly string[]>> = {
  unit: ['{base,bgp,ipam,felix,src,crds,scripts}/**/*.test.ts', 'test/architecture.test.ts'],
  scenario: ['test/scenario/**/*.test.ts'],
  kernel: ['test/kernel/**/*.test.ts'],
  kubernetes: ['test/kubernetes/**/*.test.ts'],
  interop: ['test/interop/**/*.test.ts'],
  lab: ['test/lab/**/*.test.ts'],
};

interface Skipped {
  readonly name: string;
  readonly reason: string;
}

function chosenFiles(names: readonly string[]): string[] {
  const unknown = names.filter((name) => suites[name] === undefined);
  if (unknown.length > 0) {
    process.stderr.write(`unknown suite: ${unknown.join(', ')}; expected: ${Object.keys(suites).join(', ')}\n`);
    process.exit(64);
  }
  const globs = (names.length === 0 ? Object.keys(suites) : names).flatMap((name) => suites[name] ?? []);
  return globSync(globs).toSorted();
}

/** Lines of test/expected-absent: parts of a skip reason that CI accepts; `#` starts a comment. */
function expectedAbsent(): readonly string[] {
  const file = 'test/expected-absent';
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '');
}

const skipped: Skipped[] = [];
let ran = 0;
let failed = false;

function printLeftOut(): void {
  const reasons = Map.groupBy(skipped, (skip) => skip.reason);
  process.stdout.write(`\nran ${ran} / left out: ${skipped.length === 0 ? 'nothing' : ''}\n`);
  for (const [reason, skips] of reasons) process.stdout.write(`  ${skips.length} × ${reason}\n`);
  if (process.env['CI'] !== 'true' || process.getuid?.() !== 0) return;
  const allowed = expectedAbsent();
  const surprising = [...reasons.keys()].filter((reason) => !allowed.some((part) => reason.includes(part)));
  if (surprising.length === 0) return;
  failed = true;
  process.stdout.write(`CI as root must run everything; not in test/expected-absent: ${surprising.join('; ')}\n`);
}

// Two at a time: suites with namespaces wait more than they compute, and the machines of this project have two cores.
const stream = run({ files: chosenFiles(process.argv.slice(2)), concurrency: 2, timeout: 600_000 });
stream.on('test:fail', () => {
  failed = true;
});
stream.on('test:pass', (event) => {
  if (typeof event.skip === 'string') skipped.push({ name: event.name, reason: event.skip });
  else if (event.skip === true) skipped.push({ name: event.name, reason: `no reason given: ${event.name}` });
  else if (event.details.type !== 'suite') ran += 1;
});
let told = false;
stream.on('test:diagnostic', (event) => {
  if (event.nesting !== 0 || told || !event.message.startsWith('tests ')) return;
  told = true;
  printLeftOut();
});
stream.on('end', () => {
  process.exitCode = failed ? 1 : 0;
});
stream.compose(new spec()).pipe(process.stdout);
