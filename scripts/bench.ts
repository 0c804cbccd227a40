// `npm run bench [NAME…]`: runs the benchmarks of test/bench, one after the other, each in a process of its own.
// A benchmark prints its settings, the versions of its peers and ratios; none asserts a time.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename } from 'node:path';

const wanted = process.argv.slice(2);
const files = globSync('test/bench/*.ts').toSorted();
const chosen = files.filter((file) => wanted.length === 0 || wanted.includes(basename(file, '.ts')));
if (chosen.length === 0) {
  process.stderr.write(`no such benchmark; there are: ${files.map((file) => basename(file, '.ts')).join(', ')}\n`);
  process.exit(64);
}
for (const file of chosen) {
  process.stdout.write(`\n== ${basename(file, '.ts')}\n`);
  const done = spawnSync(process.execPath, [file], { stdio: 'inherit' });
  if (done.status !== 0) process.exitCode = 1;
}
