// `npm run generate` writes every file that is made from another; `npm run generate:check` (or --check) says which of them are
// out of date and exits 1. A generated file is a row in `outputs`.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatMetrics } from '#observe';
import { renderCrdDocs } from './crd-docs.ts';
import { readCrds } from './crd-schema.ts';
import { renderTypes } from './crd-types.ts';
import { renderSettings } from './settings-docs.ts';

interface Output {
  readonly path: string;
  readonly render: () => string;
}

const root = join(import.meta.dirname, '..');
const crds = readCrds(join(root, 'crds'));

const outputs: readonly Output[] = [
  { path: 'src/kube/types.ts', render: () => format('src/kube/types.ts', renderTypes(crds)) },
  { path: 'docs/reference/crds.md', render: () => renderCrdDocs(crds) },
  { path: 'docs/reference/config.md', render: renderSettings },
  { path: 'docs/reference/metrics.md', render: formatMetrics },
];

/** As `npm run fix` would leave it, so that the formatter and the generator never disagree. */
function format(path: string, text: string): string {
  const biome = join(root, 'node_modules/.bin/biome');
  return execFileSync(biome, ['format', `--stdin-file-path=${path}`], { cwd: root, input: text, encoding: 'utf8' });
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

const check = process.argv.includes('--check');
const stale: string[] = [];
for (const { path, render } of outputs) {
  const text = render();
  if (text === readIfPresent(join(root, path))) continue;
  stale.push(path);
  if (!check) writeFileSync(join(root, path), text);
}
for (const path of stale) process.stdout.write(`${check ? 'out of date' : 'written'}: ${path}\n`);
if (check && stale.length > 0) {
  process.stdout.write('run npm run generate and commit the result\n');
  process.exitCode = 1;
}
