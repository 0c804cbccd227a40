/** Namespace (core v1): its labels, for selectors, and its annotations. */
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';

export interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function parseNamespace(object: KubeObject): ParseResult<Namespace> {
  return parseFields(object, readNamespace);
}

function readNamespace(object: Fields): Namespace {
  const metadata = object.fields('metadata');
  return {
    name: metadata.requiredText('name'),
    labels: metadata.texts('labels'),
    annotations: metadata.texts('annotations'),
  };
}
