// Compiles the CNI client in C (src/cni/client.c) with the first compiler that links it statically: musl's, then glibc's.
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Compiled =
  | { readonly ok: true; readonly compiler: string }
  | { readonly ok: false; readonly reason: string };

const source = fileURLToPath(new URL('../src/cni/client.c', import.meta.url));
const compilers = ['musl-gcc', 'gcc', 'cc'];
const flags = ['-static', '-Os', '-s', '-std=gnu11', '-Wall', '-Wextra', '-Wconversion', '-Werror'];

/** Writes the executable to `out`, whole or not at all. */
export function compileClient(out: string): Compiled {
  const reasons: string[] = [];
  const partial = `${out}.${process.pid}.tmp`;
  for (const compiler of compilers) {
    const done = spawnSync(compiler, [...flags, '-o', partial, source], { encoding: 'utf8' });
    if (done.status === 0) {
      renameSync(partial, out);
      return { ok: true, compiler };
    }
    rmSync(partial, { force: true });
    reasons.push(
      done.error === undefined ? `${compiler}: ${done.stderr.trim().split('\n')[0] ?? ''}` : `no ${compiler}`,
    );
  }
  return { ok: false, reason: reasons.join(', ') };
}
