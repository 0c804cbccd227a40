/** Reading `ip -j` output: one array of objects whose members are optional and whose types depend on the version. */

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The objects of a JSON array; anything else in it is left out (iproute2 prints `{}` for filtered entries). */
export function recordsOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

export function textOf(entry: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = entry[name];
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(entry: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = entry[name];
  return typeof value === 'number' ? value : undefined;
}

/**
 * Parses what `ip -j` wrote: nothing, `[`…`]`, or, where a dump ended early (a table that does not exist), a lone `[`
 * · throws SyntaxError.
 */
export function parseIpJson(text: string): unknown {
  const trimmed = text.trim();
  return trimmed === '' || trimmed === '[' ? [] : JSON.parse(trimmed);
}
