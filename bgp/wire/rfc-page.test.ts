/** docs/rfc.md is a promise: its statuses come from a closed set, and the files it names are there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../', import.meta.url);
const STATUSES = ['none', 'parsed', 'acts', 'interop-tested'];

/** Cells of the tables that end in a status. */
function statusRows(): string[][] {
  const rows: string[][] = [];
  let inTable = false;
  for (const line of readFileSync(new URL('docs/rfc.md', ROOT), 'utf8').split('\n')) {
    const cells = line.split('|').slice(1, -1);
    if (cells.length === 0) inTable = false;
    else if (cells.at(-1)?.trim() === 'status') inTable = true;
    else if (inTable && !line.startsWith('|---')) rows.push(cells.map((cell) => cell.trim()));
  }
  return rows;
}

test('docs/rfc.md gives each section a known status and names files that exist', () => {
  const rows = statusRows();
  assert.ok(rows.length > 40);
  for (const row of rows) {
    assert.ok(STATUSES.includes(row.at(-1) ?? ''), `status of ${row.join(' | ')}`);
    const files = row.join(' ').match(/\b(?:bgp|src|test|felix|base|ipam)\/[\w/.-]+\.ts\b/g) ?? [];
    for (const file of files) assert.ok(existsSync(new URL(file, ROOT)), `${file} of ${row[0]}`);
    if (row.at(-1) !== 'none')
      assert.ok(
        files.some((file) => file.endsWith('.test.ts')),
        `${row[0]} ${row[1]} has a test`,
      );
  }
});
