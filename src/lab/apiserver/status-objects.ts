/**
 * Errors as the API server answers them: a `Status` object with the reason, details and causes clients switch on
 * (k8s.io/apimachinery/pkg/api/errors). Message texts are copied from a recorded kube-apiserver 1.36, so that kubectl
 * prints the same sentences. Note which errors name the *kind* (validation) and which the *resource* (storage).
 */

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Partial<StatusCause>[];
  readonly retryAfterSeconds?: number;
}

export interface StatusObject {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** What an error needs to know of a resource to name it. */
export interface Named {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

interface FailureParts {
  readonly code: number;
  readonly message: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly continueToken?: string;
}

/** A refusal that becomes an HTTP answer; `code` is the HTTP status. */
export class StatusError extends Error {
  readonly code: number;
  readonly status: StatusObject;
  constructor(parts: FailureParts) {
    super(parts.message);
    this.name = 'StatusError';
    this.code = parts.code;
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: parts.continueToken === undefined ? {} : { continue: parts.continueToken },
      status: 'Failure',
      message: parts.message,
      ...(parts.reason === undefined ? {} : { reason: parts.reason }),
      ...(parts.details === undefined ? {} : { details: parts.details }),
      code: parts.code,
    };
  }
}

/** A path that is no API at all: the mux of a real server answers it in plain text. */
export class PlainNotFound extends Error {
  constructor() {
    super('404 page not found');
    this.name = 'PlainNotFound';
  }
}

/** The 200 that answers a DELETE which removed the object at once. */
export function successStatus(details: StatusDetails): StatusObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

function qualified(base: string, group: string): string {
  return group === '' ? base : `${base}.${group}`;
}

function detailsOf(resource: Named, form: 'kind' | 'resource', name: string): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: form === 'kind' ? resource.kind : resource.plural,
  };
}

export function badRequest(message: string): StatusError {
  return new StatusError({ code: 400, message, reason: 'BadRequest' });
}

export function internalError(message: string): StatusError {
  return new StatusError({ code: 500, message });
}

export function notFound(resource: Named, name: string): StatusError {
  return new StatusError({
    code: 404,
    message: `${qualified(resource.plural, resource.group)} ${JSON.stringify(name)} not found`,
    reason: 'NotFound',
    details: detailsOf(resource, 'resource', name),
  });
}

/** A resource that no group serves; built-in groups answer so, groups of custom resources in plain text. */
export function noSuchResource(): StatusError {
  const message = 'the server could not find the requested resource';
  return new StatusError({ code: 404, message, reason: 'NotFound', details: {} });
}

export function alreadyExists(resource: Named, name: string): StatusError {
  return new StatusError({
    code: 409,
    message: `${qualified(resource.plural, resource.group)} ${JSON.stringify(name)} already exists`,
    reason: 'AlreadyExists',
    details: detailsOf(resource, 'resource', name),
  });
}

/** 409 of optimistic concurrency; preconditions of DELETE use the kind form, everything else the resource form. */
export function conflict(
  resource: Named,
  name: string,
  problem: { readonly why: string; readonly form?: 'kind' | 'resource' },
): StatusError {
  const form = problem.form ?? 'resource';
  const base = qualified(form === 'kind' ? resource.kind : resource.plural, resource.group);
  return new StatusError({
    code: 409,
    message: `Operation cannot be fulfilled on ${base} ${JSON.stringify(name)}: ${problem.why}`,
    reason: 'Conflict',
    details: detailsOf(resource, form, name),
  });
}

export const staleMessage =
  'the object has been modified; please apply your changes to the latest version and try again';

/** 422 with causes; one cause reads `field: text`, several `[field: text, …]`. */
export function invalid(
  subject: { readonly kind: string; readonly group: string; readonly name: string },
  causes: readonly StatusCause[],
): StatusError {
  const texts = [...new Set(causes.map((cause) => `${cause.field}: ${cause.message}`))];
  const list = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
  return new StatusError({
    code: 422,
    message: `${qualified(subject.kind, subject.group)} ${JSON.stringify(subject.name)} is invalid: ${list}`,
    reason: 'Invalid',
    details: {
      ...(subject.name === '' ? {} : { name: subject.name }),
      ...(subject.group === '' ? {} : { group: subject.group }),
      ...(subject.kind === '' ? {} : { kind: subject.kind }),
      causes,
    },
  });
}

/** 422 about a query parameter or option: `ListOptions.meta.k8s.io "" is invalid`. */
export function invalidOptions(kind: string, causes: readonly StatusCause[]): StatusError {
  return invalid({ kind, group: 'meta.k8s.io', name: '' }, causes);
}

export function methodNotAllowed(resource: Named, verb: string): StatusError {
  return new StatusError({
    code: 405,
    message: `${verb} is not supported on resources of kind ${JSON.stringify(qualified(resource.plural, resource.group))}`,
    reason: 'MethodNotAllowed',
    details: detailsOf(resource, 'resource', ''),
  });
}

export function forbidden(resource: Named, name: string, why: string): StatusError {
  return new StatusError({
    code: 403,
    message: `${qualified(resource.plural, resource.group)} ${JSON.stringify(name)} is forbidden: ${why}`,
    reason: 'Forbidden',
    details: detailsOf(resource, 'resource', name),
  });
}

export function notAcceptable(message: string): StatusError {
  return new StatusError({ code: 406, message, reason: 'NotAcceptable' });
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const list = accepted.join(', ');
  const message = `the body of the request was in an unknown format - accepted media types include: ${list}`;
  return new StatusError({ code: 415, message, reason: 'UnsupportedMediaType' });
}

export function tooLarge(limitBytes: number): StatusError {
  const message = `Request entity too large: limit is ${limitBytes}`;
  return new StatusError({ code: 413, message, reason: 'RequestEntityTooLarge' });
}

/** 410: the revision asked for is no longer known; `continueToken` lets a paged list go on inconsistently. */
export function expired(message: string, continueToken?: string): StatusError {
  const base = { code: 410, message, reason: 'Expired' };
  return new StatusError(continueToken === undefined ? base : { ...base, continueToken });
}

/** 504 for a resourceVersion that this server has not reached yet. */
export function versionTooLarge(asked: string, current: number): StatusError {
  return new StatusError({
    code: 504,
    message: `Timeout: Too large resource version: ${asked}, current: ${current}`,
    reason: 'Timeout',
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}
