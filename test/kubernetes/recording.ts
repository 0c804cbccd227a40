/**
 * The recordings of a real kube-apiserver as data, and the comparison of an answer with a recorded one: uids and
 * resourceVersions are bound one to one as they are met, times and managedFields are taken out, causes compared as sets.
 */
import { readFile } from 'node:fs/promises';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Exchange {
  readonly at: number;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Record<string, string>;
    readonly body?: Json;
  };
  readonly response: RecordedResponse;
}

interface RecordedResponse {
  readonly status: number | null;
  readonly headers: Record<string, string | string[]>;
  readonly body?: Json;
  /** The events of a watch. */
  readonly stream?: readonly { readonly after: number; readonly event: Json }[];
}

export interface Step {
  readonly raw?: string;
  readonly command?: string;
  readonly note?: string;
  readonly exit?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly exchanges?: readonly Exchange[];
}

export interface Recording {
  readonly scenario: string;
  readonly steps: readonly Step[];
}

const folder = new URL('../fixtures/kubernetes-api/', import.meta.url);

export async function readRecording(name: string): Promise<Recording> {
  const recording: Recording = JSON.parse(await readFile(new URL(`${name}.json`, folder), 'utf8'));
  return recording;
}

/** Two-way names for what differs between runs. */
export class Binding {
  readonly #toActual = new Map<string, string>();
  readonly #toRecorded = new Map<string, string>();

  bind(recorded: string, actual: string): boolean {
    const known = this.#toActual.get(recorded);
    const back = this.#toRecorded.get(actual);
    if (known === undefined && back === undefined) {
      this.#toActual.set(recorded, actual);
      this.#toRecorded.set(actual, recorded);
      return true;
    }
    return known === actual;
  }

  /** Every bound name in a text replaced by the actual one. */
  toActual(recorded: string): string | undefined {
    return this.#toActual.get(recorded);
  }

  toRecorded(actual: string): string | undefined {
    return this.#toRecorded.get(actual);
  }
}

const timeFields = new Set(['creationTimestamp', 'deletionTimestamp', 'lastTransitionTime']);

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Differences between a recorded document and ours, as readable lines; empty when they agree. */
export function compareJson(recorded: Json, actual: Json, binding: Binding, path = ''): string[] {
  if (Array.isArray(recorded)) {
    if (!Array.isArray(actual)) return [`${path}: expected a list, got ${short(actual)}`];
    if (path.endsWith('.causes')) return compareCauses(recorded, actual, path);
    if (recorded.length !== actual.length) return [`${path}: expected ${recorded.length} items, got ${actual.length}`];
    return recorded.flatMap((item, index) => compareJson(item, actual[index] ?? null, binding, `${path}[${index}]`));
  }
  if (!isObject(recorded)) return compareScalar(recorded, actual, binding, path);
  if (!isObject(actual)) return [`${path}: expected an object, got ${short(actual)}`];
  const keys = new Set([...Object.keys(recorded), ...Object.keys(actual)]);
  const lines: string[] = [];
  for (const key of keys) {
    // Not kept (managedFields), or a number of the whole store, which had other kinds in it (revision of a list).
    if (key === 'managedFields' || (key === 'resourceVersion' && isListMetadata(path, recorded))) continue;
    const inner = path === '' ? key : `${path}.${key}`;
    const before = recorded[key];
    const after = actual[key];
    if (before === undefined) lines.push(`${inner}: not expected, got ${short(after)}`);
    else if (after === undefined) lines.push(`${inner}: expected ${short(before)}, got nothing`);
    else if (key === 'message' && isManyCauses(recorded)) continue;
    else lines.push(...compareJson(before, after, binding, inner));
  }
  return lines;
}

function isListMetadata(path: string, metadata: { [key: string]: Json }): boolean {
  return /(^|\.)metadata$/.test(path) && metadata['name'] === undefined;
}

/** Several causes are listed in random order by a real server: the message then says the same in another order. */
function isManyCauses(status: { [key: string]: Json }): boolean {
  const details = status['details'];
  return isObject(details) && Array.isArray(details['causes']) && details['causes'].length > 1;
}

function compareCauses(recorded: Json[], actual: Json[], path: string): string[] {
  const text = (causes: Json[]): string[] =>
    [...new Set(causes.map((cause) => JSON.stringify(cause, ['field', 'message', 'reason'])))].sort();
  const [left, right] = [text(recorded), text(actual)];
  const missing = left.filter((line) => !right.includes(line));
  const extra = right.filter((line) => !left.includes(line));
  return [...missing.map((line) => `${path}: missing ${line}`), ...extra.map((line) => `${path}: extra ${line}`)];
}

function compareScalar(recorded: Json, actual: Json, binding: Binding, path: string): string[] {
  const field = path.split('.').at(-1) ?? '';
  if (timeFields.has(field))
    return typeof actual === 'string' ? [] : [`${path}: expected a time, got ${short(actual)}`];
  if (typeof recorded === 'string' && typeof actual === 'string') {
    if (field === 'uid' || field === 'resourceVersion') {
      return binding.bind(recorded, actual)
        ? []
        : [
            `${path}: ${recorded} should be ${binding.toActual(recorded)}, got ${actual} (${binding.toRecorded(actual)})`,
          ];
    }
    if (field === 'continue' && recorded !== '')
      return actual === '' ? [`${path}: expected a token`] : bindToken(recorded, actual, binding);
    if (field === 'name' && /-[a-z0-9]{5}$/.test(recorded)) return [];
    // Ages, and the oldest revision a server still knows, are those of the run.
    if (/\.cells\[\d+\]$/.test(path) && isAge(recorded) && isAge(actual)) return [];
    const ofTheRun = /(too old resource version: \d+) \(\d+\)/;
    if (ofTheRun.test(recorded) && recorded.replace(ofTheRun, '$1') === actual.replace(ofTheRun, '$1')) return [];
    // A real server also lists server-side apply among the patches it takes.
    if (translate(recorded, binding).replace(', application/apply-patch+yaml', '') === actual) return [];
  }
  return recorded === actual ? [] : [`${path}: expected ${short(recorded)}, got ${short(actual)}`];
}

function isAge(text: string): boolean {
  return /^(\d+[smhdy])+$/.test(text);
}

function bindToken(recorded: string, actual: string, binding: Binding): string[] {
  binding.bind(recorded, actual);
  return [];
}

/** A recorded text with uids and revisions as they are in this run. */
export function translate(text: string, binding: Binding): string {
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, (uid) => binding.toActual(uid) ?? uid)
    .replaceAll(/\b(10\d\d)\b/g, (revision) => binding.toActual(revision) ?? revision);
}

function short(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
