/**
 * UPDATE: routes that are gone, routes that are there, and the attributes they share (RFC 4271 §4.3). The value that
 * comes out is the one to act on: RFC 7606 has been applied, so a route with a broken attribute stands among the
 * withdrawn, and only what must end the session is thrown. Writing them is the work of pack.ts.
 *
 *    0                   1                   2                   3
 *   +-------------------------------+-------------------------------+
 *   |   Withdrawn Routes Length     |  Withdrawn Routes (IPv4) …    |
 *   +-------------------------------+-------------------------------+
 *   | Total Path Attribute Length   |  Path Attributes …            |
 *   +-------------------------------+-------------------------------+
 *   |  NLRI (IPv4, to the message's end)                            |
 *   +---------------------------------------------------------------+
 */
import type { Family, Ip, Prefix } from '#net';
import { WireError } from '../errors.ts';
import { AS_TRANS, AttributeCode, ErrorCode, HEADER_BYTES, UpdateSubcode } from '../iana.ts';
import { mergeAs4Path } from './attribute/as4-path.ts';
import type { PathAttributes } from './attribute/attributes.ts';
import { formatAttributes } from './attribute/format.ts';
import { type AttributeError, type AttributeList, decodeAttributeList } from './attribute/list.ts';
import { ATTRIBUTE_TABLE } from './attribute/table.ts';
import type { WireContext } from './context.ts';
import { decodeNlri, type Span } from './nlri.ts';
import { readU16 } from './reader.ts';

export interface Announcement {
  readonly prefix: Prefix;
  /** From NEXT_HOP or MP_REACH_NLRI; of an IPv6 pair the global one, or the link-local where the global is `::`. */
  readonly nextHop: Ip;
}

/** RFC 4271 §4.3 · apply `withdrawn` before `announced`: a prefix in both is announced. */
export interface UpdateMessage {
  readonly type: 'update';
  /** Withdrawn Routes and MP_UNREACH_NLRI, and what was treated as withdrawn; both families mixed. */
  readonly withdrawn: readonly Prefix[];
  readonly announced: readonly Announcement[];
  /** Of all `announced`; undefined when nothing is. */
  readonly attributes: PathAttributes | undefined;
  /** This message is the End-of-RIB marker of a negotiated family · RFC 4724 §2. */
  readonly endOfRib: Family | undefined;
  /** What was wrong and survived; already applied to the rest. */
  readonly errors: readonly AttributeError[];
}

/** The three lists of an UPDATE, read but not yet judged together. */
interface Parts {
  readonly withdrawn: readonly Prefix[];
  readonly attributes: AttributeList;
  readonly nlri: readonly Prefix[];
}

/** An UPDATE with nothing in it: End-of-RIB of IPv4 unicast · RFC 4724 §2. */
const EMPTY_UPDATE_BYTES = HEADER_BYTES + 4;
/** How many prefixes formatUpdate names before it only counts. */
const SHOWN = 8;

/** Decodes a whole UPDATE whose header was checked; throws WireError 3/x where RFC 7606 still resets the session. */
export function decodeUpdate(bytes: Uint8Array, context: WireContext): UpdateMessage {
  const spans = locate(bytes);
  const parts: Parts = {
    withdrawn: decodeField(bytes, spans.withdrawn),
    attributes: decodeAttributeList(bytes, spans.attributes, context),
    nlri: decodeField(bytes, spans.nlri),
  };
  const errors = [...parts.attributes.errors, ...ignoredFamilies(parts, context)];
  requireReachable(parts, errors);
  const routes = collectAnnounced(parts, context);
  const missing = routes.length === 0 ? [] : missingAttributes(parts, context);
  errors.push(...missing);

  const lost = errors.some((error) => error.treatment === 'treat-as-withdraw');
  const attributes = lost || routes.length === 0 ? undefined : toPathAttributes(parts.attributes);
  const withdrawn = collectWithdrawn(parts, context);
  const announced: Announcement[] = [];
  for (const { prefix, nextHop } of routes) {
    if (attributes === undefined || nextHop === undefined) withdrawn.push(prefix);
    else announced.push({ prefix, nextHop });
  }
  const endOfRib = bytes.length === EMPTY_UPDATE_BYTES ? emptyMarker(context) : mpMarker(parts, errors);
  return { type: 'update', withdrawn, announced, attributes, endOfRib, errors };
}

/** For people, on one line; long lists are counted rather than shown. */
export function formatUpdate(message: UpdateMessage): string {
  const { withdrawn, announced, attributes, endOfRib, errors } = message;
  const parts: string[] = [];
  if (endOfRib !== undefined) parts.push(`end of rib ipv${endOfRib}`);
  if (withdrawn.length > 0) parts.push(`withdraw ${shorten(withdrawn)}`);
  if (announced.length > 0) {
    const routes = announced.map(({ prefix, nextHop }) => `${prefix} via ${nextHop}`);
    parts.push(`announce ${shorten(routes)}`);
  }
  if (attributes !== undefined) parts.push(formatAttributes(attributes));
  for (const { treatment, reason } of errors) parts.push(`${treatment} (${reason})`);
  return `UPDATE ${parts.length === 0 ? 'empty' : parts.join('; ')}`;
}

/** Where the three lists stand; throws 3/1 when their lengths exceed the message · RFC 4271 §6.3. */
function locate(bytes: Uint8Array): { withdrawn: Span; attributes: Span; nlri: Span } {
  const withdrawnStart = HEADER_BYTES + 2;
  const withdrawnEnd = withdrawnStart + readU16(bytes, HEADER_BYTES);
  const attributesStart = withdrawnEnd + 2;
  const attributesEnd = attributesStart + (attributesStart > bytes.length ? 0 : readU16(bytes, withdrawnEnd));
  if (attributesEnd > bytes.length) {
    throw updateError(UpdateSubcode.malformedAttributeList, 'withdrawn routes or attributes reach past the message');
  }
  return {
    withdrawn: { start: withdrawnStart, end: withdrawnEnd },
    attributes: { start: attributesStart, end: attributesEnd },
    nlri: { start: attributesEnd, end: bytes.length },
  };
}

/** IPv4 prefixes in a field of the message itself; throws 3/10 · RFC 7606 §5.3. */
function decodeField(bytes: Uint8Array, span: Span): Prefix[] {
  const prefixes = decodeNlri(4, bytes, span);
  if (prefixes === undefined) {
    throw updateError(UpdateSubcode.invalidNetworkField, 'ipv4 prefixes are syntactically incorrect');
  }
  return prefixes;
}

/** Routes of families that were not negotiated are neither used nor an error of the route · RFC 4760 §6. */
function ignoredFamilies(parts: Parts, context: WireContext): AttributeError[] {
  const { draft, seen } = parts.attributes;
  const ignored: AttributeError[] = [];
  if (draft.ignoredFamily !== undefined) {
    const attribute = seen.has(AttributeCode.mpReach) ? AttributeCode.mpReach : AttributeCode.mpUnreach;
    ignored.push(notNegotiated(attribute, draft.ignoredFamily));
  }
  const hasIpv4 = parts.withdrawn.length > 0 || parts.nlri.length > 0;
  if (hasIpv4 && !context.families.includes(4)) ignored.push(notNegotiated(0, '1/1'));
  return ignored;
}

function notNegotiated(attribute: number, family: string): AttributeError {
  const reason = `routes of family ${family} were not negotiated`;
  return {
    attribute,
    treatment: 'discard',
    reason,
    code: ErrorCode.updateMessage,
    subcode: 0,
    data: new Uint8Array(0),
  };
}

/** A broken list without reachable prefixes may have lost them: the session must end · RFC 7606 §5.2. */
function requireReachable(parts: Parts, errors: readonly AttributeError[]): void {
  const { draft, seen } = parts.attributes;
  const ignoredReach = draft.ignoredFamily !== undefined && seen.has(AttributeCode.mpReach);
  if (parts.nlri.length > 0 || (draft.mpReach?.prefixes.length ?? 0) > 0 || ignoredReach) return;
  const fatal = errors.find((error) => error.treatment === 'treat-as-withdraw');
  if (fatal !== undefined) throw new WireError(fatal.code, fatal.subcode, fatal.reason, fatal.data);
}

/** All routes the message means to announce, in negotiated families; a next hop may be missing. */
function collectAnnounced(
  parts: Parts,
  context: WireContext,
): readonly { readonly prefix: Prefix; readonly nextHop: Ip | undefined }[] {
  const { nextHop, mpReach } = parts.attributes.draft;
  const ipv4 = context.families.includes(4) ? parts.nlri.map((prefix) => ({ prefix, nextHop })) : [];
  if (mpReach === undefined) return ipv4;
  return [...ipv4, ...mpReach.prefixes.map((prefix) => ({ prefix, nextHop: mpReach.nextHop }))];
}

function collectWithdrawn(parts: Parts, context: WireContext): Prefix[] {
  const ipv4 = context.families.includes(4) ? parts.withdrawn : [];
  return [...ipv4, ...(parts.attributes.draft.mpUnreach?.prefixes ?? [])];
}

/** Announced routes lack what they must have · RFC 4271 §5, RFC 7606 §3(d). */
function missingAttributes(parts: Parts, context: WireContext): AttributeError[] {
  const needsNextHop = parts.nlri.length > 0 && context.families.includes(4);
  return ATTRIBUTE_TABLE.filter(
    (row) =>
      !parts.attributes.seen.has(row.code) &&
      (row.mandatory === 'with-routes' || (row.mandatory === 'with-ipv4-nlri' && needsNextHop)),
  ).map((row) => ({
    attribute: row.code,
    treatment: 'treat-as-withdraw',
    reason: `${row.name}: is missing`,
    code: ErrorCode.updateMessage,
    subcode: UpdateSubcode.missingWellKnownAttribute,
    data: Uint8Array.of(row.code),
  }));
}

/** The finished attributes, undefined when a mandatory one was unreadable. */
function toPathAttributes(list: AttributeList): PathAttributes | undefined {
  const { draft } = list;
  if (draft.origin === undefined || draft.asPath === undefined) return undefined;
  // RFC 6793 §4.2.3: an AGGREGATOR of a two-octet AS shows that the AS4 attributes are leftovers of an older path.
  const stale = draft.as4Aggregator !== undefined && (draft.aggregator?.as ?? AS_TRANS) !== AS_TRANS;
  const aggregator =
    stale || draft.aggregator === undefined ? draft.aggregator : (draft.as4Aggregator ?? draft.aggregator);
  const asPath = stale || draft.as4Path === undefined ? draft.asPath : mergeAs4Path(draft.asPath, draft.as4Path);
  return {
    origin: draft.origin,
    asPath,
    med: draft.med,
    localPref: draft.localPref,
    atomicAggregate: draft.atomicAggregate === true,
    aggregator,
    communities: draft.communities ?? [],
    largeCommunities: draft.largeCommunities ?? [],
    extendedCommunities: draft.extendedCommunities ?? [],
    originatorId: draft.originatorId,
    clusterList: draft.clusterList ?? [],
    unknown: list.unknown,
    partial: partialOf(list.partial),
  };
}

function emptyMarker(context: WireContext): Family | undefined {
  return context.families.includes(4) ? 4 : undefined;
}

/** An MP_UNREACH_NLRI that is alone and empty · RFC 4724 §2. */
function mpMarker(parts: Parts, errors: readonly AttributeError[]): Family | undefined {
  const { draft, seen } = parts.attributes;
  if (seen.size !== 1 || errors.length > 0 || parts.withdrawn.length > 0) return undefined;
  return draft.mpUnreach?.prefixes.length === 0 ? draft.mpUnreach.family : undefined;
}

function shorten(items: readonly string[]): string {
  const more = items.length - SHOWN;
  return items.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function updateError(subcode: number, message: string): WireError {
  return new WireError(ErrorCode.updateMessage, subcode, message);
}

/** AS4_PATH and AS4_AGGREGATOR are merged into others and never sent on, so their Partial bit says nothing. */
function partialOf(codes: readonly number[]): readonly number[] | undefined {
  const kept = codes.filter((code) => code !== AttributeCode.as4Path && code !== AttributeCode.as4Aggregator);
  return kept.length === 0 ? undefined : kept;
}
