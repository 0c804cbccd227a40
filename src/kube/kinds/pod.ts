/** Pod (core v1), as far as addresses and routes look at it. */
import { type Ip, tryParseIp } from '#net';
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';

export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Undefined until scheduled. */
  readonly node: string | undefined;
  readonly hostNetwork: boolean;
  readonly phase: string;
  readonly ips: readonly Ip[];
  readonly terminating: boolean;
}

export function parsePod(object: KubeObject): ParseResult<Pod> {
  return parseFields(object, readPod);
}

function readPod(object: Fields): Pod {
  const metadata = object.fields('metadata');
  const spec = object.fields('spec');
  const status = object.fields('status');
  return {
    namespace: metadata.requiredText('namespace'),
    name: metadata.requiredText('name'),
    uid: metadata.text('uid') ?? '',
    labels: metadata.texts('labels'),
    annotations: metadata.texts('annotations'),
    node: spec.text('nodeName') || undefined,
    hostNetwork: spec.flag('hostNetwork', false),
    phase: status.text('phase') ?? 'Unknown',
    ips: status.each('podIPs').flatMap((entry) => tryParseIp(entry.text('ip') ?? '') ?? []),
    terminating: metadata.text('deletionTimestamp') !== undefined,
  };
}
