/**
 * Paths: what a URL addresses. `/api/v1/…` is the core group, `/apis/GROUP/VERSION/…` every other; a namespaced resource
 * lies below `namespaces/NAME/`. Pure. Unknown paths throw the refusal a real server gives for that place.
 */
import type { Target } from './engine.ts';
import type { Registry, Resource } from './registry.ts';
import { noSuchResource, PlainNotFound } from './status-objects.ts';

export type Route =
  | { readonly kind: 'object'; readonly target: Target; readonly legacyWatch: boolean }
  | { readonly kind: 'document'; readonly path: string };

/** Splits a path into an object's address, or says that it is a document (discovery, openapi, health). */
export function findRoute(registry: Registry, path: string): Route {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  // One trailing slash is as good as none.
  if (parts.length > 1 && parts.at(-1) === '') parts.pop();
  const [root, ...rest] = parts;
  if (root === 'api' && rest.length >= 2)
    return objectRoute(registry, { group: '', version: rest[0] ?? '', parts: rest.slice(1) });
  if (root === 'apis' && rest.length >= 3) {
    return objectRoute(registry, { group: rest[0] ?? '', version: rest[1] ?? '', parts: rest.slice(2) });
  }
  return { kind: 'document', path: `/${parts.join('/')}` };
}

function objectRoute(
  registry: Registry,
  place: { readonly group: string; readonly version: string; readonly parts: readonly string[] },
): Route {
  const legacyWatch = place.parts[0] === 'watch';
  const parts = legacyWatch ? place.parts.slice(1) : place.parts;
  const missing = (): Error => {
    const isBuiltIn = registry.inGroup(place.group, place.version).some((resource) => resource.builtIn);
    return isBuiltIn ? noSuchResource() : new PlainNotFound();
  };
  const find = (plural: string): Resource | undefined => registry.find(place.group, place.version, plural);
  if (parts[0] === 'namespaces' && parts.length >= 3) {
    const resource = find(parts[2] ?? '');
    if (resource?.namespaced === true) {
      return route({ resource, namespace: parts[1], name: parts[3], subresource: parts[4] }, legacyWatch);
    }
    // /api/v1/namespaces/NAME/status is about the namespace itself.
    if (place.group !== '' || (parts[2] !== 'status' && parts[2] !== 'finalize')) throw missing();
  }
  const resource = find(parts[0] ?? '');
  if (resource === undefined || (resource.namespaced && parts.length > 1)) throw missing();
  return route({ resource, namespace: undefined, name: parts[1], subresource: parts[2] }, legacyWatch);
}

function route(target: Target, legacyWatch: boolean): Route {
  return { kind: 'object', target, legacyWatch };
}
