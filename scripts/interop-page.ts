/** docs/interop.md is written by two programs, each its own section between two comments. */
export function replaceSection(page: string, name: string, text: string): string {
  const [open, close] = [`<!-- ${name}: written by a program -->`, `<!-- end of ${name} -->`];
  const from = page.indexOf(open);
  const to = page.indexOf(close);
  if (from < 0 || to < from) throw new Error(`docs/interop.md has no section ${name}`);
  return `${page.slice(0, from + open.length)}\n\n${text}\n${page.slice(to)}`;
}
