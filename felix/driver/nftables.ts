/**
 * The nftables driver: one table of ours, written whole in one transaction (an old one stays in force if the new one is
 * refused), read back as text. A rewrite does not touch established connections: their NAT lives in conntrack.
 */
import { sameTable } from '../calc/masquerade.ts';
import { FelixError } from '../errors.ts';
import { quote, type Shell } from '../iproute2/shell.ts';

/** Reads our table as text; undefined when it is not there. */
export async function readTable(shell: Shell, table: string): Promise<string | undefined> {
  const { code, stdout, stderr } = await shell.run(`nft -s list table inet ${table}`);
  if (code === 0) return stdout.trim();
  if (stderr.includes('No such file or directory')) return undefined;
  throw new FelixError('KERNEL_REFUSED', `reading nft table inet ${table} failed: ${firstLine(stderr)}`);
}

/** Replaces our table by `text`, or removes it · throws FelixError KERNEL_REFUSED; the old table is then still there. */
export async function writeTable(shell: Shell, table: string, text: string | undefined): Promise<void> {
  // `table` then `delete` also works where there is none yet; all three are one transaction.
  const transaction = `table inet ${table}\ndelete table inet ${table}\n${text ?? ''}\n`;
  const { code, stderr } = await shell.run(`printf %s ${quote(transaction)} | nft -f -`);
  if (code !== 0)
    throw new FelixError('KERNEL_REFUSED', `writing nft table inet ${table} failed: ${firstLine(stderr)}`);
}

/** Whether what nft printed is what we want, or what it printed for what we want (another version, other spelling). */
export function isWanted(
  actual: string | undefined,
  desired: string | undefined,
  printed: string | undefined,
): boolean {
  return sameTable(actual, desired) || (desired !== undefined && printed !== undefined && sameTable(actual, printed));
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
