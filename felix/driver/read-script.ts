/** Several `ip -j` readings by one script of a coprocess: a fork each, none of them from this process. */
import { FelixError } from '../errors.ts';
import type { Shell } from '../iproute2/shell.ts';

const SEPARATOR = '\u001d';

/** Output of each command · throws FelixError KERNEL_REFUSED, CHILD_LOST. A table that does not exist yet is empty. */
export async function readScript(shell: Shell, commands: readonly string[]): Promise<readonly string[]> {
  // `||` keeps going: while no IPv4 route was ever added, showing its table is an error.
  const script = commands.map((command) => `${command} || exit_code=$?`).join(`; printf '\\035'; `);
  const { stdout, stderr } = await shell.run(script);
  const trouble = stderr.replaceAll(/^(Error: ipv[46]: FIB table does not exist\.|Dump terminated)$/gm, '').trim();
  const texts = stdout.split(SEPARATOR);
  if (texts.length !== commands.length || trouble !== '') {
    throw new FelixError('KERNEL_REFUSED', `reading the kernel back failed: ${trouble || 'output cut short'}`);
  }
  return texts;
}
