// What the CNI plugin and the agent say to each other over the agent's Unix socket: one JSON object and a newline each way.
//
// The plugin checks what belongs to the CNI specification (versions, environment, names) and turns the agent's neutral
// answer into the result type of the asked cniVersion. The agent knows no CNI version. A message is at most 64 KiB; whatever
// arrives is `unknown` until `parseRequest` or `parseResponse` has accepted it. Only Node's own types: this file is on the
// start-up path of every pod.

export const protocolVersion = 1;
export const maxMessageBytes = 64 * 1024;

/** Error codes of the CNI specification (§ Error). */
export const cniErrors = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  io: 5,
  undecodable: 6,
  invalidConfig: 7,
  tryAgain: 11,
  notAvailable: 50,
} as const;

/** An answer to the runtime that is not a success: code of the specification, a sentence, and what a person may need. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string | undefined;
  constructor(code: number, message: string, details?: string) {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

export interface Attachment {
  readonly containerId: string;
  readonly ifname: string;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface AddRequest extends Attachment {
  readonly command: 'ADD';
  readonly netns: string;
  readonly pod: PodName | undefined;
  readonly mtu: number | undefined;
}
export interface DelRequest extends Attachment {
  readonly command: 'DEL';
}
export interface CheckRequest extends Attachment {
  readonly command: 'CHECK';
  readonly netns: string;
  /** Addresses of prevResult, without length. */
  readonly addresses: readonly string[];
}
export interface GcRequest {
  readonly command: 'GC';
  readonly valid: readonly Attachment[];
}
export interface StatusRequest {
  readonly command: 'STATUS';
}
export type CniRequest = AddRequest | DelRequest | CheckRequest | GcRequest | StatusRequest;

/** What an ADD made, in no version's words. Addresses are /32 or /128. */
export interface AddResult {
  readonly hostInterface: { readonly name: string; readonly mac: string };
  readonly podInterface: {
    readonly name: string;
    readonly netns: string;
    readonly mtu: number | undefined;
  };
  readonly addresses: readonly string[];
  readonly routes: readonly { readonly destination: string; readonly gateway: string }[];
}

export type CniResponse =
  | { readonly ok: true; readonly result: AddResult | undefined }
  | { readonly ok: false; readonly code: number; readonly message: string; readonly details: string | undefined };

export function formatRequest(request: CniRequest): string {
  return `${JSON.stringify({ protocol: protocolVersion, ...request })}\n`;
}

export function formatResponse(response: CniResponse): string {
  return `${JSON.stringify(response)}\n`;
}

/** Accepts one request line. Throws CniError 6 (not JSON) or 4 (a field is missing or of the wrong shape). */
export function parseRequest(line: string): CniRequest {
  const raw = parseObject(line);
  if (raw['protocol'] !== protocolVersion) {
    throw new CniError(
      cniErrors.undecodable,
      `protocol ${String(raw['protocol'])}: the agent speaks ${protocolVersion}`,
    );
  }
  switch (raw['command']) {
    case 'ADD':
      return {
        command: 'ADD',
        ...attachment(raw),
        netns: text(raw, 'netns'),
        pod: podName(raw['pod']),
        mtu: optionalMtu(raw['mtu']),
      };
    case 'DEL':
      return { command: 'DEL', ...attachment(raw) };
    case 'CHECK':
      return { command: 'CHECK', ...attachment(raw), netns: text(raw, 'netns'), addresses: texts(raw, 'addresses') };
    case 'GC':
      return { command: 'GC', valid: list(raw, 'valid').map((item) => attachment(toObject(item))) };
    case 'STATUS':
      return { command: 'STATUS' };
    default:
      throw new CniError(cniErrors.undecodable, `unknown command ${JSON.stringify(raw['command'])}`);
  }
}

/** Accepts the agent's answer. Throws CniError 6. */
export function parseResponse(line: string): CniResponse {
  const raw = parseObject(line);
  if (raw['ok'] === true)
    return { ok: true, result: raw['result'] === undefined ? undefined : addResult(raw['result']) };
  if (raw['ok'] !== false || typeof raw['code'] !== 'number' || typeof raw['message'] !== 'string') {
    throw new CniError(cniErrors.undecodable, 'the answer of the agent has an unknown shape');
  }
  const details = typeof raw['details'] === 'string' ? raw['details'] : undefined;
  return { ok: false, code: raw['code'], message: raw['message'], details };
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseObject(line: string): JsonObject {
  try {
    return toObject(JSON.parse(line));
  } catch (error) {
    if (error instanceof CniError) throw error;
    throw new CniError(cniErrors.undecodable, 'the message is not JSON', String(error));
  }
}

function toObject(value: unknown): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CniError(cniErrors.undecodable, 'expected a JSON object');
  }
  return value as JsonObject;
}

function text(raw: JsonObject, field: string): string {
  const value = raw[field];
  if (typeof value === 'string' && value !== '') return value;
  throw new CniError(cniErrors.invalidEnvironment, `field ${field}: expected text`);
}

function list(raw: JsonObject, field: string): readonly unknown[] {
  const value = raw[field];
  if (Array.isArray(value)) return value as readonly unknown[];
  throw new CniError(cniErrors.invalidEnvironment, `field ${field}: expected a list`);
}

function texts(raw: JsonObject, field: string): readonly string[] {
  const values = list(raw, field);
  if (values.every((value) => typeof value === 'string')) return values;
  throw new CniError(cniErrors.invalidEnvironment, `field ${field}: expected a list of text`);
}

const idPattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/;

/** The rules of the specification for CNI_CONTAINERID; it also becomes a file name, so it is checked on both sides. */
export function isContainerId(value: string): boolean {
  return idPattern.test(value);
}

/** Interface names Linux accepts: 1 to 15 bytes, no slash, colon or space, not `.` or `..`. */
export function isInterfaceName(value: string): boolean {
  return /^[\x21-\x7e]{1,15}$/.test(value) && !/[/:]/.test(value) && value !== '.' && value !== '..';
}

function attachment(raw: JsonObject): Attachment {
  const containerId = text(raw, 'containerId');
  const ifname = text(raw, 'ifname');
  if (!isContainerId(containerId)) {
    throw new CniError(cniErrors.invalidEnvironment, `container id ${JSON.stringify(containerId)} is not valid`);
  }
  if (!isInterfaceName(ifname)) {
    throw new CniError(cniErrors.invalidEnvironment, `interface name ${JSON.stringify(ifname)} is not valid`);
  }
  return { containerId, ifname };
}

function podName(value: unknown): PodName | undefined {
  if (value === undefined || value === null) return undefined;
  const raw = toObject(value);
  return { namespace: text(raw, 'namespace'), name: text(raw, 'name') };
}

function optionalMtu(value: unknown): number | undefined {
  if (value === undefined || value === null || value === 0) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 576 && value <= 65535) return value;
  throw new CniError(cniErrors.invalidConfig, 'mtu: expected a whole number from 576 to 65535, or 0 for automatic');
}

function addResult(value: unknown): AddResult {
  const raw = toObject(value);
  const host = toObject(raw['hostInterface']);
  const pod = toObject(raw['podInterface']);
  return {
    hostInterface: { name: text(host, 'name'), mac: text(host, 'mac') },
    podInterface: {
      name: text(pod, 'name'),
      netns: text(pod, 'netns'),
      mtu: optionalMtu(pod['mtu']),
    },
    addresses: texts(raw, 'addresses'),
    routes: list(raw, 'routes').map((item) => {
      const route = toObject(item);
      return { destination: text(route, 'destination'), gateway: text(route, 'gateway') };
    }),
  };
}
