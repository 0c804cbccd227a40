/**
 * From the bytes of a request to JSON, with the refusals of a real server: 400 for what is no JSON or no object of the
 * kind, and the duplicate field names that fieldValidation reports (JSON.parse swallows them). Pure.
 */
import { parse as parseYaml } from 'yaml';
import { findDuplicateKeys } from './json-duplicates.ts';
import { isJsonObject, type Json, type JsonObject } from './objects.ts';
import { badRequest } from './status-objects.ts';

export interface DecodedBody {
  readonly raw: JsonObject;
  /** Paths of members that occur twice, e.g. `spec.blockSize`. */
  readonly duplicates: readonly string[];
}

/** Parses an object body in JSON or YAML; throws 400 naming the kind it should be. */
export function decodeObjectBody(text: string, media: 'json' | 'yaml', kind: string): DecodedBody {
  const refuse = (why: string): never => {
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): ${why} (${summary(text)})`);
  };
  let value: unknown;
  refusePrototype(text);
  try {
    value = media === 'yaml' ? parseYaml(text) : JSON.parse(text);
  } catch (cause) {
    return refuse(`couldn't get version/kind; json parse error: ${jsonProblem(cause)}`);
  }
  if (!isJsonObject(value)) {
    const goType =
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
    const problem = `json: cannot unmarshal ${goTypeName(value)} into Go value of type ${goType}`;
    return refuse(`couldn't get version/kind; json parse error: ${problem}`);
  }
  if (typeof value['kind'] !== 'string' || value['kind'] === '') return refuse(`Object 'Kind' is missing in '${text}'`);
  if (typeof value['apiVersion'] !== 'string' || value['apiVersion'] === '') {
    return refuse(`Object 'apiVersion' is missing in '${text}'`);
  }
  return { raw: value, duplicates: media === 'json' ? findDuplicateKeys(text) : [] };
}

/** Parses the JSON of a patch or of DeleteOptions; `what` begins the refusal. */
export function decodeJson(text: string, what: string): Json {
  refusePrototype(text);
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch (cause) {
    throw badRequest(`${what}: ${jsonProblem(cause)}`);
  }
}

/** A member of this name would set a prototype when objects are copied; no field of ours is called so. */
function refusePrototype(text: string): void {
  if (text.includes('"__proto__"')) throw badRequest('a member named __proto__ is not supported');
}

/** The words of Go's encoding/json for a few common faults. */
function jsonProblem(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/end of JSON|Unterminated/i.test(message)) return 'unexpected end of JSON input';
  const token = /Unexpected token '?(.)'?/u.exec(message)?.[1];
  return token === undefined ? message : `invalid character '${token}' looking for beginning of value`;
}

function goTypeName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value;
}

/** What a real server quotes of a body it cannot read: 30 bytes, hexadecimal when it is no object. */
function summary(text: string): string {
  if (text === '') return '<empty>';
  const shown = text.startsWith('{') ? text : Buffer.from(text).toString('hex');
  return shown.length > 30 ? `${shown.slice(0, 30)} ...` : shown;
}
