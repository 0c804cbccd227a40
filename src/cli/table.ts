// Text tables in kubectl's manner: upper-case headers, columns padded to their widest cell, three blanks between. Pure.

/** Rows of equal length → lines. An empty cell is shown as `-`, so that columns stay countable. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows].map((row) => row.map((cell) => (cell === '' ? '-' : cell)));
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('   ')
      .trimEnd();
  return all.map(line).join('\n');
}
