// The messages between the CNI plugin and the agent, one line each way; client.c and main.ts are the two clients.
//
//   plugin → agent   {"protocol":2,"env":{"CNI_COMMAND":"ADD",…},"config":"<stdin, as a string>"}
//   agent → plugin   0 <what to print>     success, exit code 0          1 <what to print>     failure, exit code 1
//
// The plugin judges nothing: the agent parses environment and configuration and words the result, so that a client needs no
// knowledge of CNI and both clients behave alike. Only Node's own types: this file is on the start-up path of every pod.

export const protocolVersion = 2;
export const maxConfigBytes = 256 * 1024;
/** A configuration whose every byte needed an escape would not fit; it would not be a configuration. */
export const maxRequestBytes = 1024 * 1024;
export const maxAnswerBytes = 64 * 1024;

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

/** The versions answered, oldest first. */
export const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof supportedVersions)[number];
export const newestVersion: CniVersion = '1.1.0';

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

export type Environment = Readonly<Record<string, string | undefined>>;

/** One execution of the plugin. */
export interface CniCall {
  /** The variables whose names begin with `CNI_`. */
  readonly env: Environment;
  /** What was on stdin. */
  readonly config: string;
}

export interface CniAnswer {
  readonly ok: boolean;
  /** JSON for stdout, without the newline; empty for nothing. */
  readonly stdout: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function formatCall({ env, config }: CniCall): string {
  return `${JSON.stringify({ protocol: protocolVersion, env, config })}\n`;
}

/** Accepts one request line. Throws CniError 6. */
export function parseCall(line: string): CniCall {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch (error) {
    throw new CniError(cniErrors.undecodable, 'the request of the plugin is not JSON', String(error));
  }
  if (!isObject(raw)) throw new CniError(cniErrors.undecodable, 'the request of the plugin is not a JSON object');
  const { protocol, env, config } = raw;
  if (protocol !== protocolVersion) {
    throw new CniError(cniErrors.undecodable, `protocol ${String(protocol)}: the agent speaks ${protocolVersion}`);
  }
  if (isObject(env) && areTexts(env) && typeof config === 'string') return { env, config };
  throw new CniError(
    cniErrors.undecodable,
    'the request of the plugin: expected env, names with text, and config, text',
  );
}

function areTexts(env: JsonObject): env is Readonly<Record<string, string>> {
  return Object.values(env).every((value) => typeof value === 'string');
}

export function formatAnswer({ ok, stdout }: CniAnswer): string {
  return `${ok ? 0 : 1} ${stdout}\n`;
}

/** Accepts the agent's answer without its newline. Throws CniError 6. */
export function parseAnswer(line: string): CniAnswer {
  if (/^[01] /.test(line)) return { ok: line.startsWith('0'), stdout: line.slice(2) };
  throw new CniError(cniErrors.undecodable, 'the answer of the agent has an unknown shape');
}

/** Reads the configuration as a JSON object. Throws CniError 6. */
export function decodeConfig(input: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch (error) {
    throw new CniError(cniErrors.undecodable, 'the network configuration on stdin is not JSON', String(error));
  }
  if (isObject(value)) return value;
  throw new CniError(cniErrors.undecodable, 'the network configuration on stdin is not a JSON object');
}

/** The cniVersion to answer in; one that is none becomes the newest. */
export function answerVersion(config: JsonObject | undefined): string {
  const version = config?.['cniVersion'];
  return typeof version === 'string' && /^[\d.]{1,127}$/.test(version) ? version : newestVersion;
}

/** The error object of the specification. */
export function toCniError(version: string, { code, message, details }: Omit<CniError, 'name'>): unknown {
  return { cniVersion: version, code, msg: message, ...(details === undefined ? {} : { details }) };
}
