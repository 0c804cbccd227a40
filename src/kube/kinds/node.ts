/** Node (core v1), as far as routing looks at it. Annotations stay text: whoever uses one says what is wrong with it. */
import { type Ip, tryParseIp } from '#net';
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';

export interface Node {
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** In the order of status.addresses; entries that are no addresses are left out. */
  readonly internalIps: readonly Ip[];
}

export function parseNode(object: KubeObject): ParseResult<Node> {
  return parseFields(object, readNode);
}

function readNode(object: Fields): Node {
  const metadata = object.fields('metadata');
  return {
    name: metadata.requiredText('name'),
    uid: metadata.text('uid') ?? '',
    labels: metadata.texts('labels'),
    annotations: metadata.texts('annotations'),
    internalIps: object.fields('status').each('addresses').flatMap(readInternalIp),
  };
}

function readInternalIp(address: Fields): readonly Ip[] {
  if (address.text('type') !== 'InternalIP') return [];
  const ip = tryParseIp(address.text('address') ?? '');
  return ip === undefined ? [] : [ip];
}
