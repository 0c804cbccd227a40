// Parsers of settings: text → value, or Error saying what was expected.
import { logLevels, type LogLevel } from '#observe';

function expected(what: string): Error {
  return new Error(`expected ${what}`);
}

export function pattern(expression: RegExp, what: string) {
  return (text: string): string => {
    if (expression.test(text)) return text;
    throw expected(what);
  };
}

export const absolutePath = pattern(/^\/[^\0\n]*$/, 'an absolute path');

export function integer(min: number, max: number, what = 'a whole number') {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw expected(`${what} from ${min} to ${max}`);
  };
}

/** One of a closed list of words. */
export function oneOf<T extends string>(words: readonly T[]) {
  return (text: string): T => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw expected(`one of ${words.join(', ')}`);
  };
}

export const level: (text: string) => LogLevel = oneOf(logLevels);

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds from `500ms`, `10s`, `2m` or `1h`, within bounds given the same way. */
export function duration(min: string, max: string) {
  const toMs = (text: string): number => {
    const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
    return match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? ''] ?? Number.NaN);
  };
  return (text: string): number => {
    const value = toMs(text);
    if (value >= toMs(min) && value <= toMs(max)) return value;
    throw expected(`a duration from ${min} to ${max}, such as 500ms, 10s or 2m`);
  };
}

/** `ADDRESS:PORT`; an IPv6 address stands in brackets. */
export function hostPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:]+)\]|([^:]*)):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) throw expected('ADDRESS:PORT, [ADDRESS]:PORT for IPv6');
  return { host: match[1] ?? match[2] ?? '', port };
}
