/**
 * A nexthop object (rtnetlink RTM_NEWNEXTHOP, ip-nexthop(8)): `ip -j -N nexthop show` JSON and monitor lines → value, value → batch line.
 */
import { tryParseIp } from '#net';
import type { NexthopObject } from '../calc/nexthop-groups.ts';
import { numberOf, recordsOf, textOf } from './json.ts';
import { deviceName } from './route.ts';

/** Decodes `ip -j -N nexthop show`. */
export function decodeNexthops(json: unknown): ReadonlyMap<number, NexthopObject> {
  const objects = recordsOf(json).flatMap((entry): readonly NexthopObject[] => {
    const id = numberOf(entry, 'id');
    if (id === undefined) return [];
    const device = textOf(entry, 'dev');
    const flags: readonly unknown[] = Array.isArray(entry['flags']) ? entry['flags'] : [];
    const gateway = tryParseIp(textOf(entry, 'gateway') ?? '');
    const members = recordsOf(entry['group']).flatMap((member) => numberOf(member, 'id') ?? []);
    return [
      {
        id,
        protocol: Number(textOf(entry, 'protocol') ?? Number.NaN),
        hop: device === undefined ? undefined : { gateway, device, onlink: flags.includes('onlink') },
        members: members.toSorted((a, b) => a - b),
      },
    ];
  });
  return new Map(objects.map((object) => [object.id, object]));
}

/** `nexthop add` (exclusive), `replace` (only ours) or `del`. */
export function nexthopLine(verb: 'add' | 'replace' | 'delete', nexthop: NexthopObject): string {
  const { id, protocol, hop, members } = nexthop;
  if (verb === 'delete') return `nexthop del id ${id}`;
  const what =
    hop === undefined
      ? `group ${members.join('/')}`
      : `${hop.gateway === undefined ? '' : `via ${hop.gateway} `}dev ${deviceName(hop.device)}${hop.onlink ? ' onlink' : ''}`;
  return `nexthop ${verb} id ${id} ${what} proto ${protocol}`;
}

/** Decodes one line of `ip -oneline monitor nexthop`; undefined = not one. */
export function decodeMonitorNexthop(line: string): NexthopObject | undefined {
  const match = /^id (\d+) (?:group (\S+) |(?:via (?:inet6? )?(\S+) )?(?:dev (\S+) )?)(.*)$/.exec(`${line.trim()} `);
  if (match === null) return undefined;
  const [, id, group, via = '', device, rest = ''] = match;
  // `5/7,10`: weights follow a comma; ours have none.
  const members = (group ?? '')
    .split('/')
    .filter((word) => word !== '')
    .map((word) => Number(word.split(',')[0]));
  return {
    id: Number(id),
    protocol: Number(/\bproto (\S+)/.exec(rest)?.[1] ?? Number.NaN),
    hop: device === undefined ? undefined : { gateway: tryParseIp(via), device, onlink: /\bonlink\b/.test(rest) },
    members: members.toSorted((a, b) => a - b),
  };
}
