/**
 * What the BGP fuzzer does with one input: everything a received message can meet in a speaker. Cut from the stream,
 * decoded, printed, made JSON, cloned to another thread, judged by import and export, encoded for every kind of session
 * and read again. A throw other than a WireError, a message that changes its meaning on the way, one that is longer than
 * the session allows, or one that takes long, is a finding.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Ip, parseIp, parsePrefix } from '#net';
import type { RoutePolicy } from '../../bgp/policy/policy.ts';
import { type ExportTarget, exportPath } from '../../bgp/rib/export.ts';
import { judgeImport } from '../../bgp/rib/import.ts';
import { asPathLength, fingerprint, formatAsPath, type Path } from '../../bgp/rib/path.ts';
import { WireError } from '../../bgp/errors.ts';
import type { PathAttributes } from '../../bgp/wire/attribute/attributes.ts';
import { encodeAttributeList } from '../../bgp/wire/attribute/list.ts';
import { KEPT_INSIDE } from '../../bgp/wire/attribute/table.ts';
import type { WireContext } from '../../bgp/wire/context.ts';
import { Framer } from '../../bgp/wire/framing.ts';
import { decodeMessage, encodeMessage, formatMessage, type Message } from '../../bgp/wire/message.ts';
import { encodeUpdates } from '../../bgp/wire/pack.ts';
import type { UpdateMessage } from '../../bgp/wire/update.ts';

const MAX_TEXT = 1_000_000;
const SLOW_MS = 200;
const SLOW_ATTEMPTS = 3;
/** Room for next hop, header and a prefix beside the attributes. */
const ROOM = 100;

/** Every kind of session the codec can be asked to read or write for. */
export const CONTEXTS: readonly WireContext[] = [true, false].flatMap((fourOctetAs) =>
  (['ebgp', 'ibgp'] as const).flatMap((peerType) =>
    ([[4, 6], [4], [6]] as const).flatMap((families) =>
      [false, true].map((extended) => ({
        fourOctetAs,
        peerType,
        families,
        extendedMessages: extended,
        extendedNextHop: extended,
      })),
    ),
  ),
);

const POLICY: RoutePolicy = {
  default: 'accept',
  rules: [
    {
      name: 'a range',
      action: 'reject',
      match: { prefixes: [{ prefix: parsePrefix('10.0.0.0/8'), minLength: 9, maxLength: 20 }] },
    },
    { name: 'a next hop', action: 'reject', match: { nextHops: [parseIp('192.0.2.9')] } },
    {
      name: 'a path and communities',
      action: 'accept',
      match: {
        asPath: [{ contains: 65_001 }, { originatedBy: 65_002 }, { startsWith: [65_003] }, { maxLength: 2 }],
        learnedFrom: ['ebgp', 'ibgp'],
      },
      set: {
        localPref: 7,
        med: 9,
        prepend: [65_000, 65_000],
        addCommunities: [1],
        removeCommunities: [2],
        addLargeCommunities: [{ global: 1, local1: 2, local2: 3 }],
        removeLargeCommunities: [{ global: 4, local1: 5, local2: 6 }],
      },
    },
  ],
};
const ROUTER_ID = parseIp('192.0.2.1');
const NEXT_HOP: Readonly<Record<4 | 6, Ip>> = { 4: ROUTER_ID, 6: parseIp('2001:db8::1') };

/** Says what is wrong with how the speaker takes these bytes; undefined = nothing. `cut` = where TCP cuts the stream. */
export function findFault(bytes: Uint8Array, context: WireContext, cut = 0): string | undefined {
  for (let attempt = 1; ; attempt++) {
    const begin = performance.now();
    const fault = walk(bytes, context, cut);
    const tookMs = performance.now() - begin;
    if (fault !== undefined || tookMs <= SLOW_MS) return fault;
    // Once may be the garbage collector or another process.
    if (attempt === SLOW_ATTEMPTS) return `took ${Math.round(tookMs)} ms`;
  }
}

function walk(bytes: Uint8Array, context: WireContext, cut: number): string | undefined {
  try {
    const given = bytes.slice();
    const whole = readStream([bytes], context);
    const pieces = readStream([bytes.slice(0, cut), bytes.slice(cut)], context);
    if (!isDeepStrictEqual(whole, pieces)) return `the stream means something else when cut at ${cut}`;
    for (const message of whole.messages) {
      const fault = useMessage(message, context);
      if (fault !== undefined) return fault;
    }
    return isDeepStrictEqual(given, bytes) ? undefined : 'the received bytes were changed';
  } catch (error) {
    return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}

interface Stream {
  readonly messages: readonly Message[];
  readonly error: string;
}

function readStream(chunks: readonly Uint8Array[], context: WireContext): Stream {
  const framer = new Framer();
  framer.extendedMessages = context.extendedMessages;
  const messages: Message[] = [];
  try {
    for (const chunk of chunks) {
      for (const bytes of framer.push(chunk)) messages.push(decodeMessage(bytes, context));
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const { code, subcode, data, message } = error;
    const sent = encodeMessage({ type: 'notification', code, subcode, data }, context);
    const read = decodeMessage(sent, context);
    formatMessage(read);
    if (code < 1 || code > 8) throw new Error(`notification code ${code}`, { cause: error });
    return { messages, error: `${code}/${subcode} ${message}` };
  }
  return { messages, error: '' };
}

function useMessage(message: Message, context: WireContext): string | undefined {
  if (formatMessage(message).length > MAX_TEXT) return 'the text of the message is too long';
  if (/\p{Cc}/u.test(formatMessage(message))) return 'the text of the message has control characters';
  if (JSON.stringify(message).length > MAX_TEXT) return 'the JSON of the message is too long';
  if (!isDeepStrictEqual(structuredClone(message), message)) return 'a clone of the message differs';
  if (message.type === 'update') return useUpdate(message, context);
  const again = decodeMessage(encodeMessage(message, context), context);
  // Data beyond what every peer must take is cut.
  if (message.type === 'notification' && message.data.length > 4075) return undefined;
  return isDeepStrictEqual(again, message) ? undefined : `encoded again it says ${formatMessage(again)}`;
}

function useUpdate(message: UpdateMessage, context: WireContext): string | undefined {
  const { attributes } = message;
  if ((attributes === undefined) !== (message.announced.length === 0))
    return 'attributes without routes or the reverse';
  // AS4_PATH comes on top for a two-octet speaker; a route that does not fit is withdrawn instead (pack.ts).
  if (attributes !== undefined && encodeAttributeList(attributes, context).length > limitOf(context) - ROOM)
    return undefined;
  const sent = readStream([encodeMessage(message, context)], context);
  const difference = compareMeaning(meaning([message], context), meaning(sent.messages, context));
  if (sent.error !== '' || difference !== undefined) return `encoded again: ${sent.error} ${difference ?? ''}`;
  if (attributes === undefined) return undefined;
  fingerprint(attributes);
  formatAsPath(attributes.asPath);
  asPathLength(attributes.asPath);
  for (const { prefix, nextHop } of message.announced.slice(0, 4)) {
    const source = { name: 'a', kind: context.peerType, address: ROUTER_ID, routerId: ROUTER_ID };
    const fault = useRoute({ prefix, nextHop, attributes, source });
    if (fault !== undefined) return fault;
  }
  return undefined;
}

interface Meaning {
  readonly withdrawn: string;
  readonly announced: string;
  readonly attributes: string;
}

/** What a run of UPDATEs tells about routes, whichever way it was cut into messages. */
function meaning(messages: readonly Message[], context: WireContext): Meaning {
  const updates = messages.filter((message) => message.type === 'update');
  const sorted = (texts: readonly string[]): string => [...new Set(texts)].toSorted().join(' ');
  return {
    withdrawn: sorted(updates.flatMap(({ withdrawn }) => withdrawn)),
    announced: sorted(updates.flatMap(({ announced }) => announced.map((a) => `${a.prefix} via ${a.nextHop}`))),
    attributes: sorted(updates.flatMap(({ attributes }) => (attributes ? [comparable(attributes, context)] : []))),
  };
}

/** Unknown attributes go out in the order of their codes, and some not to another AS. */
function comparable(attributes: PathAttributes, context: WireContext): string {
  const unknown = attributes.unknown
    .filter(({ code }) => context.peerType === 'ibgp' || !KEPT_INSIDE.has(code))
    .toSorted((a, b) => a.code - b.code);
  return fingerprint({ ...attributes, unknown });
}

function compareMeaning(before: Meaning, after: Meaning): string | undefined {
  for (const key of ['withdrawn', 'announced', 'attributes'] as const) {
    if (before[key] !== after[key]) return `${key} were ${before[key]} and are ${after[key]}`;
  }
  return undefined;
}

function useRoute(path: Path): string | undefined {
  const facts = { localAs: 65_000, routerId: ROUTER_ID, addresses: [parseIp('192.0.2.7')], policy: POLICY };
  judgeImport(path, facts);
  for (const context of CONTEXTS) {
    const fault = exportTo(path, context);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** What a neighbour is told must be readable, without an error, and be about this prefix only. */
function exportTo(path: Path, context: WireContext): string | undefined {
  const { peerType, families } = context;
  const target: ExportTarget = {
    name: 'b',
    peerType,
    families,
    localAs: 65_000,
    nextHopSelf: NEXT_HOP,
    localAddress: ROUTER_ID,
    policy: POLICY,
    client: true,
    clusterId: ROUTER_ID,
    gracefulShutdown: peerType === 'ibgp',
    cache: new WeakMap(),
  };
  const { route } = exportPath(path, target);
  if (route === undefined) return undefined;
  const family = path.prefix.includes(':') ? 6 : 4;
  const group = { attributes: route.attributes, nextHop: route.nextHop, family, prefixes: [path.prefix] } as const;
  for (const bytes of encodeUpdates({ withdrawn: [], announced: [group] }, context)) {
    if (bytes.length > limitOf(context)) return `a message of ${bytes.length} bytes is sent`;
    const read = decodeMessage(bytes, context);
    if (read.type !== 'update') return 'an update is sent as something else';
    if (read.errors.length > 0) return `a neighbour would complain: ${read.errors[0]?.reason}`;
    const told = [...read.withdrawn, ...read.announced.map(({ prefix }) => prefix)];
    if (!isDeepStrictEqual(told, [path.prefix])) return `a neighbour is told about ${told.join()}`;
  }
  return undefined;
}

function limitOf(context: WireContext): number {
  return context.extendedMessages ? 65_535 : 4096;
}
