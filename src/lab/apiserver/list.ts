/**
 * List: selectors, pages with `limit` and `continue`, and the resourceVersion rules (Kubernetes API concepts,
 * "Retrieving large results sets in chunks" and "Resource versions"). Invariant: pages of one list show the revision of
 * its first page, or the list is refused with 410 and a token to go on inconsistently.
 */
import type { Engine, Target } from './engine.ts';
import { asJson } from './objects.ts';
import { storageName } from './registry.ts';
import { fieldMatcher, labelMatcher, type Matcher } from './selectors.ts';
import { badRequest, expired, invalidOptions, type StatusCause, versionTooLarge } from './status-objects.ts';
import type { Stored } from './store.ts';

export interface Listing {
  readonly items: readonly Stored[];
  readonly revision: number;
  readonly continueToken: string;
  readonly remaining: number | undefined;
}

interface Page {
  readonly revision: number;
  readonly start: string;
}

/** Reads the parameters and the store; throws 400, 410, 422, 504. Show the result after `store.durable(revision)`. */
export function listObjects(engine: Engine, target: Target, query: URLSearchParams): Listing {
  const matcher = selectorOf(target, query);
  const limit = readInteger(query, 'limit') ?? 0;
  const token = query.get('continue') ?? '';
  const version = query.get('resourceVersion') ?? '';
  checkListOptions(query, version);
  if (token !== '') {
    if (version !== '' && version !== '0')
      throw badRequest('specifying resource version is not allowed when using continue');
    return cut(readPage(engine, target, token), { matcher, limit });
  }
  const match = query.get('resourceVersionMatch');
  const wanted = readVersion(version);
  if (wanted > engine.store.revision) throw versionTooLarge(version, engine.store.revision);
  const isExact = match === 'Exact' || (match === null && limit > 0 && wanted > 0);
  if (isExact && wanted !== engine.store.revision) {
    const items = engine.store.listAt(storageName(target.resource), wanted, target.namespace);
    if (items === undefined) throw expired('The resourceVersion for the provided list is too old.');
    return cut({ items, revision: wanted, start: '' }, { matcher, limit });
  }
  const items = engine.store.list(storageName(target.resource), target.namespace);
  // A list "from the cache" (resourceVersion=0) comes whole, whatever limit says.
  return cut({ items, revision: engine.store.revision, start: '' }, { matcher, limit: version === '0' ? 0 : limit });
}

/** The predicate of both selectors of a request, or undefined when there is none. */
export function selectorOf(target: Target, query: URLSearchParams): Matcher | undefined {
  const label = labelMatcher(query.get('labelSelector') ?? undefined);
  const field = fieldMatcher(query.get('fieldSelector') ?? undefined, target.resource);
  if (label === undefined || field === undefined) return label ?? field;
  return (object) => label(object) && field(object);
}

/** An integer parameter; throws 400 in the words of Go. */
export function readInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

function readVersion(text: string): number {
  if (text === '') return 0;
  if (/^\d+$/.test(text)) return Number(text);
  const problem = `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
  throw badRequest(`invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: ${problem}`);
}

/** True for the parameter values Kubernetes takes as true. */
export function isSet(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && !['', '0', 'false', 'False', 'FALSE', 'f', 'F'].includes(value);
}

function checkListOptions(query: URLSearchParams, version: string): void {
  const causes: StatusCause[] = [];
  const match = query.get('resourceVersionMatch') ?? '';
  const forbid = (field: string, text: string): void => {
    causes.push({ reason: 'FieldValueForbidden', message: `Forbidden: ${text}`, field });
  };
  if (isSet(query, 'sendInitialEvents')) forbid('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  if (match !== '' && version === '') {
    forbid('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan') {
    const message = `Unsupported value: ${JSON.stringify(match)}: supported values: "Exact", "NotOlderThan", ""`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: 'resourceVersionMatch' });
  }
  if (match === 'Exact' && version === '0') {
    forbid('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  if (causes.length > 0) throw invalidOptions('ListOptions', causes);
}

const tooOld =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the ' +
  'continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing ' +
  'with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the ' +
  'time the first chunk was returned and now may show up in the list.';

function readPage(engine: Engine, target: Target, token: string): Page & { readonly items: readonly Stored[] } {
  const { revision, start } = decodeToken(token);
  const storage = storageName(target.resource);
  if (revision < 0) {
    return { items: engine.store.list(storage, target.namespace), revision: engine.store.revision, start };
  }
  const items = engine.store.listAt(storage, revision, target.namespace);
  if (items === undefined) throw expired(tooOld, encodeToken({ revision: -1, start }));
  return { items, revision, start };
}

function cut(
  page: Page & { readonly items: readonly Stored[] },
  options: { readonly matcher: Matcher | undefined; readonly limit: number },
): Listing {
  const { matcher, limit } = options;
  const rest = page.start === '' ? page.items : page.items.filter((stored) => stored.key >= page.start);
  const matching = matcher === undefined ? rest : rest.filter((stored) => matcher(asJson(stored.object)));
  if (limit <= 0 || matching.length <= limit) {
    return { items: matching, revision: page.revision, continueToken: '', remaining: undefined };
  }
  const items = matching.slice(0, limit);
  const start = `${items.at(-1)?.key ?? ''}\u0000`;
  return {
    items,
    revision: page.revision,
    continueToken: encodeToken({ revision: page.revision, start }),
    remaining: matcher === undefined ? matching.length - limit : undefined,
  };
}

function encodeToken(page: Page): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: page.revision, start: page.start })).toString(
    'base64url',
  );
}

function decodeToken(token: string): Page {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    throw badRequest(
      'invalid continue token: continue key is not valid: invalid character looking for beginning of value',
    );
  }
  const page = value as { readonly v?: unknown; readonly rv?: unknown; readonly start?: unknown };
  if (page.v !== 'meta.k8s.io/v1' || typeof page.rv !== 'number' || typeof page.start !== 'string') {
    throw badRequest('invalid continue token: continue key is not valid: unrecognized encoding');
  }
  // Tokens with and without a leading slash are both in use.
  return { revision: page.rv, start: page.start.replace(/^\//, '') };
}
