/**
 * JSON Patch (RFC 6902, by fast-json-patch) and JSON Merge Patch (RFC 7396) with the refusals of a real API server.
 * Pure. One rule differs from RFC 6902 on purpose, as the recorded server does: `replace` of a missing member of an
 * object that exists succeeds.
 */
import fastJsonPatch, { type Operation } from 'fast-json-patch';
import { isJsonObject, type Json, type JsonObject, plainText } from './objects.ts';
import { badRequest, StatusError } from './status-objects.ts';

/** Applies an RFC 6902 patch; throws 400 for what is no patch, 422 for one that does not apply. */
export function applyJsonPatch(target: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch)) {
    const found = patch === null ? 'null' : typeof patch;
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${found} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  const document: JsonObject = structuredClone(target);
  try {
    for (const operation of patch) applyOne(document, operation);
  } catch {
    throw new StatusError({
      code: 422,
      message: 'the server rejected our request due to an error in our request',
      reason: 'Invalid',
      details: {},
    });
  }
  return document;
}

const kinds = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function applyOne(document: JsonObject, operation: Json): void {
  if (!isJsonObject(operation) || !kinds.has(plainText(operation['op'])) || typeof operation['path'] !== 'string') {
    throw new TypeError('no JSON patch operation');
  }
  const { op, path } = operation;
  const { parent, key } = locate(document, path);
  const exists = Array.isArray(parent)
    ? key === '-' || Number(key) < parent.length + (op === 'add' ? 1 : 0)
    : isJsonObject(parent) &&
      (op === 'add' || op === 'replace' || op === 'copy' || op === 'move' || Object.hasOwn(parent, key));
  if (!exists) throw new TypeError(`nothing at ${path}`);
  // A real server lets replace add a member.
  const isAdd = op === 'replace' && isJsonObject(parent) && !Object.hasOwn(parent, key);
  const step = { ...operation, ...(isAdd ? { op: 'add' } : {}) } as unknown as Operation;
  fastJsonPatch.applyOperation(document, step, true, true, true);
}

/** The container of the last part of a JSON pointer (RFC 6901); undefined when the way to it is missing. */
function locate(document: JsonObject, pointer: string): { readonly parent: unknown; readonly key: string } {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const key = parts.pop() ?? '';
  let parent: unknown = document;
  for (const part of parts) {
    if (Array.isArray(parent)) parent = parent[Number(part)];
    else parent = isJsonObject(parent) && Object.hasOwn(parent, part) ? parent[part] : undefined;
  }
  return { parent, key };
}

/** Applies an RFC 7396 patch; throws 400 when the patch is no object. */
export function applyMergePatch(target: JsonObject, patch: Json): JsonObject {
  if (!isJsonObject(patch)) {
    const found = Array.isArray(patch) ? 'array' : patch === null ? 'null' : typeof patch;
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${found} into Go value of type map[string]interface {}`,
    );
  }
  return mergeObjects(target, patch);
}

function mergeObjects(target: JsonObject, patch: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (isJsonObject(value)) {
      const current = Object.hasOwn(result, key) ? result[key] : undefined;
      result[key] = mergeObjects(isJsonObject(current) ? current : {}, value);
    } else result[key] = value;
  }
  return result;
}
