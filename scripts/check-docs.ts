// Every relative link in a Markdown file must lead to a file that exists, and every `npm run X` it names to a script.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const manifest: unknown = JSON.parse(readFileSync('package.json', 'utf8'));
const scripts =
  typeof manifest === 'object' && manifest !== null && 'scripts' in manifest ? Object.keys(manifest.scripts ?? {}) : [];
const files = globSync(['*.md', '{base,bgp,ipam,felix,src,crds,deploy,test,docs}/**/*.md'], {
  exclude: ['**/node_modules/**'],
});
const faults: string[] = [];

for (const file of files) {
  const text = readFileSync(file, 'utf8');
  for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^(https?:|mailto:|#)/.test(target)) continue;
    const path = join(dirname(file), target.replace(/#.*/, ''));
    if (!existsSync(path)) faults.push(`${file}: link to ${target}: no such file`);
  }
  for (const [, name = ''] of text.matchAll(/npm run (?:-s |--silent )?([a-z][a-z:-]*)/g)) {
    if (!scripts.includes(name)) faults.push(`${file}: npm run ${name}: no such script`);
  }
}
for (const fault of faults) process.stdout.write(`${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
