// What a test needs of its machine. Each function gives `{}` when it is there, else `{ skip: reason }` for node:test, so that
// a test that could not run always says why.
import { spawnSync } from 'node:child_process';

type Skip = { readonly skip?: string };

const isRoot = (): boolean => process.getuid?.() === 0;

export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0;
}

/** Root and the named programs. */
export function needRoot(...programs: readonly string[]): Skip {
  if (!isRoot()) return { skip: 'not root: network namespaces need it' };
  const missing = programs.filter((program) => !hasProgram(program));
  return missing.length === 0 ? {} : { skip: `not installed: ${missing.join(', ')}` };
}
