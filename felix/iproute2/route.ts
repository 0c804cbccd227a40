/**
 * One route of the kernel's main table (rtnetlink RTM_NEWROUTE, ip-route(8)): value ⇄ `ip -j -N -d route` JSON, one
 * monitor line, one `ip -batch` line. Invariant: a line is made of branded addresses, numbers and device names that
 * were checked here, never of foreign text, because one parse error ends the batch child with everything in its pipe.
 */
import { type Family, hostPrefix, type Ip, type Prefix, parseIp, parsePrefix, prefixFamily, tryParseIp } from '#net';
import { FelixError } from '../errors.ts';
import { isRecord, numberOf, recordsOf, textOf } from './json.ts';

export interface NextHop {
  /** Absent for a neighbour that is directly connected. */
  readonly gateway: Ip | undefined;
  readonly device: string;
  /** The gateway is reachable though no connected prefix covers it. */
  readonly onlink: boolean;
}

type RouteType = 'unicast' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';

export interface Route {
  readonly prefix: Prefix;
  readonly type: RouteType;
  /** `rtm_protocol`: who wrote it. */
  readonly protocol: number;
  /** IPv4's implicit 0 is 0; IPv6 always states it. */
  readonly metric: number;
  /** Scope link is the IPv4 way of saying "the destination itself is on this device". */
  readonly link: boolean;
  readonly source: Ip | undefined;
  /** Empty unless unicast; in the order the kernel lists them. */
  readonly nextHops: readonly NextHop[];
  /** Id of the nexthop object it points at (RTA_NH_ID); then `nextHops` only says what the kernel showed of it. */
  readonly group?: number;
  /** Every next hop is administratively or physically down. */
  readonly dead: boolean;
}

/** What the kernel tells routes apart by within one table, as far as Felix uses it (no TOS). */
export function routeKey(prefix: Prefix, metric: number): string {
  return `${prefix} ${metric}`;
}

/** Whether two routes forward alike; the order of equal-cost next hops means nothing. */
export function sameRoute(a: Route, b: Route): boolean {
  if (a.prefix !== b.prefix || a.metric !== b.metric || a.protocol !== b.protocol || a.type !== b.type) return false;
  if (a.group !== undefined || b.group !== undefined) return a.group === b.group && a.source === b.source;
  return forwarding(a) === forwarding(b);
}

function forwarding(route: Route): string {
  if (route.type !== 'unicast') return route.type;
  const hops = route.nextHops.map((hop) => `${hop.gateway ?? ''}%${hop.device}${hop.onlink ? '!' : ''}`).sort();
  return `${route.source ?? ''} ${route.link && prefixFamily(route.prefix) === 4} ${hops.join(' ')}`;
}

const TYPES: Readonly<Record<string, RouteType>> = {
  '1': 'unicast',
  unicast: 'unicast',
  '6': 'blackhole',
  blackhole: 'blackhole',
  '7': 'unreachable',
  unreachable: 'unreachable',
  '8': 'prohibit',
  prohibit: 'prohibit',
};

/** Decodes `ip -j -N -d [-6] route show table main`; entries it cannot understand are left out, they are not ours. */
export function decodeRoutes(json: unknown, family: Family): readonly Route[] {
  return recordsOf(json).flatMap((entry) => decodeRoute(entry, family) ?? []);
}

function decodeRoute(entry: Readonly<Record<string, unknown>>, family: Family): Route | undefined {
  const prefix = destination(textOf(entry, 'dst') ?? '', family);
  if (prefix === undefined) return undefined;
  const type = TYPES[textOf(entry, 'type') ?? 'unicast'] ?? 'other';
  const listed = recordsOf(entry['nexthops']);
  const hops = type === 'unicast' ? (listed.length > 0 ? listed : [entry]).flatMap((hop) => decodeHop(hop) ?? []) : [];
  return {
    prefix,
    type,
    protocol: Number(textOf(entry, 'protocol') ?? Number.NaN),
    metric: numberOf(entry, 'metric') ?? 0,
    link: textOf(entry, 'scope') === '253' || textOf(entry, 'scope') === 'link',
    source: tryParseIp(textOf(entry, 'prefsrc') ?? ''),
    nextHops: hops.map((hop) => hop.hop),
    dead: hops.length > 0 && hops.every((hop) => hop.dead),
    ...groupOf(numberOf(entry, 'nhid')),
  };
}

function groupOf(id: number | undefined): { readonly group?: number } {
  return id === undefined || Number.isNaN(id) ? {} : { group: id };
}

function decodeHop(entry: Readonly<Record<string, unknown>>): { hop: NextHop; dead: boolean } | undefined {
  const device = textOf(entry, 'dev');
  if (device === undefined) return undefined;
  const via = entry['via'];
  const gateway = textOf(entry, 'gateway') ?? (isRecord(via) ? textOf(via, 'host') : undefined);
  const flags: readonly unknown[] = Array.isArray(entry['flags']) ? entry['flags'] : [];
  const hop = { gateway: tryParseIp(gateway ?? ''), device, onlink: flags.includes('onlink') };
  return { hop, dead: flags.includes('dead') || flags.includes('linkdown') };
}

function destination(text: string, family: Family): Prefix | undefined {
  if (text === 'default') return parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0');
  try {
    return text.includes('/') ? parsePrefix(text) : hostPrefix(parseIp(text));
  } catch {
    return undefined;
  }
}

/** Decodes one line of `ip -oneline monitor route` as far as Felix compares it; undefined = not a main-table route. */
export function decodeMonitorRoute(line: string): Route | undefined {
  const [head = '', ...hops] = line.replaceAll('\\', ' ').split(/\bnexthop\b/);
  const words = head.trim().split(/\s+/);
  const type = TYPES[words[0] ?? ''];
  const rest = type === undefined ? words : words.slice(1);
  const fields = fieldsOf(rest.slice(1));
  if (fields.get('table') !== undefined) return undefined;
  const prefix = destination(rest[0] ?? '', head.includes(':') ? 6 : 4);
  if (prefix === undefined) return undefined;
  const each = hops.length > 0 ? hops.map((hop) => fieldsOf(hop.trim().split(/\s+/))) : [fields];
  return {
    prefix,
    type: type ?? 'unicast',
    protocol: Number(fields.get('proto') ?? Number.NaN),
    metric: Number(fields.get('metric') ?? 0),
    link: fields.get('scope') === 'link',
    source: tryParseIp(fields.get('src') ?? ''),
    nextHops: type === undefined || type === 'unicast' ? each.flatMap((hop) => monitorHop(hop) ?? []) : [],
    dead: false,
    ...groupOf(Number(fields.get('nhid'))),
  };
}

function monitorHop(fields: ReadonlyMap<string, string>): NextHop | undefined {
  const device = fields.get('dev');
  if (device === undefined) return undefined;
  return { gateway: tryParseIp(fields.get('via') ?? ''), device, onlink: fields.has('onlink') };
}

const FLAGS = new Set(['onlink', 'linkdown', 'dead', 'pervasive', 'offload', 'trap', 'rt_trap']);

function fieldsOf(words: readonly string[]): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (FLAGS.has(word)) fields.set(word, '');
    else {
      at += word === 'via' && words[at + 1]?.startsWith('inet') ? 2 : 1;
      fields.set(word, words[at] ?? '');
    }
  }
  return fields;
}

/** `route add`: exclusive, the kernel refuses it where any route of equal key exists (NLM_F_EXCL). */
export function addRouteLine(route: Route): string {
  return `route add ${specification(route)}`;
}

/** `route replace`: only for a key whose read-back shows a route of ours. */
export function replaceRouteLine(route: Route): string {
  return `route replace ${specification(route)}`;
}

/** `route del` by prefix, metric and protocol: cannot hit a foreign route; for IPv6 it takes all next hops at once. */
export function deleteRouteLine(route: Route): string {
  return `route del ${route.prefix} proto ${route.protocol} metric ${route.metric}`;
}

function specification(route: Route): string {
  const tail = `proto ${route.protocol} metric ${route.metric}`;
  if (route.type !== 'unicast') return `${route.type} ${route.prefix} ${tail}`;
  const scope = route.link && prefixFamily(route.prefix) === 4 ? ' scope link' : '';
  const source = route.source === undefined ? '' : ` src ${route.source}`;
  if (route.group !== undefined) return `${route.prefix} nhid ${route.group} ${tail}${source}`;
  const [only, ...more] = route.nextHops;
  if (only !== undefined && more.length === 0)
    return `${route.prefix} ${hopWords(route, only)}${scope} ${tail}${source}`;
  const hops = route.nextHops.map((hop) => ` nexthop ${hopWords(route, hop)}`).join('');
  return `${route.prefix}${scope} ${tail}${source}${hops}`;
}

function hopWords(route: Route, hop: NextHop): string {
  const other = hop.gateway?.includes(':') === true && prefixFamily(route.prefix) === 4 ? 'inet6 ' : '';
  const via = hop.gateway === undefined ? '' : `via ${other}${hop.gateway} `;
  return `${via}dev ${deviceName(hop.device)}${hop.onlink ? ' onlink' : ''}`;
}

/** An interface name as the kernel allows it and a batch line can carry it · throws FelixError INVALID. */
export function deviceName(text: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,14}$/.test(text)) return text;
  throw new FelixError(
    'INVALID',
    `interface name ${JSON.stringify(text)}: expected 1 to 15 letters, digits or _ . : + -`,
  );
}
