/**
 * The JSONPath of printer columns and selectable fields: members, ['quoted'] members, [index], [*] and the filter
 * [?(@.field=="text")]. Pure. A path outside this subset is refused when the CRD is read, not when it is printed.
 */
import { isJsonObject } from './objects.ts';

type Step =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly equals: string };

export type JsonPath = readonly Step[];

const stepPattern =
  /\.([A-Za-z0-9_-]+)|\['([^']+)'\]|\[(-?\d+)\]|\[\*\]|\[\?\(\s*@((?:\.[A-Za-z0-9_-]+)+)\s*==\s*(?:"([^"]*)"|'([^']*)')\s*\)\]/y;

/** Parses a path; throws when it is outside the subset. */
export function parseJsonPath(text: string): JsonPath {
  const steps: Step[] = [];
  // Dots inside member names come escaped: .metadata.annotations.manx\.network/ASNumber
  const source = text.replaceAll(
    /\.((?:[^.[\]'"\\]|\\\.)*\\\.(?:[^.[\]'"\\]|\\\.)*)/g,
    (_, name: string) => `['${name.replaceAll('\\.', '.')}']`,
  );
  stepPattern.lastIndex = 0;
  let position = 0;
  while (position < source.length) {
    stepPattern.lastIndex = position;
    const match = stepPattern.exec(source);
    if (match === null) throw new Error(`JSON path ${text} is not supported at ${source.slice(position)}`);
    steps.push(stepOf(match));
    position = stepPattern.lastIndex;
  }
  return steps;
}

function stepOf(match: RegExpExecArray): Step {
  const [, plain, quoted, index, filter, double, single] = match;
  if (plain !== undefined || quoted !== undefined) return { kind: 'member', name: plain ?? quoted ?? '' };
  if (index !== undefined) return { kind: 'index', index: Number(index) };
  if (filter !== undefined) return { kind: 'filter', path: filter.split('.').slice(1), equals: double ?? single ?? '' };
  return { kind: 'all' };
}

/** The first value a path finds, or undefined. */
export function firstAt(value: unknown, path: JsonPath): unknown {
  let found: readonly unknown[] = [value];
  for (const step of path) found = found.flatMap((item) => follow(item, step));
  return found[0];
}

function follow(value: unknown, step: Step): readonly unknown[] {
  if (step.kind === 'member') return isJsonObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
  if (!Array.isArray(value)) return [];
  const list: readonly unknown[] = value;
  if (step.kind === 'all') return list;
  if (step.kind === 'index') return list.slice(step.index).slice(0, 1);
  return list.filter((item) => {
    let field: unknown = item;
    for (const name of step.path) field = isJsonObject(field) ? field[name] : undefined;
    return String(field) === step.equals;
  });
}
