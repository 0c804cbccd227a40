// From a plugin's call to what it prints: understand, do, word the outcome in the asked cniVersion.
//
// Invariant: whatever was called, there is an answer; it is a success only when `handle` succeeded.
import { parseConfig, toRequest } from './invocation.ts';
import { toCniResult } from './result.ts';
import type { CniHandler } from './verbs.ts';
import {
  answerVersion,
  CniError,
  cniErrors,
  decodeConfig,
  newestVersion,
  parseCall,
  toCniError,
  type CniAnswer,
} from './wire.ts';

/**
 * Answers one request line of a plugin. A CniError keeps its code, anything else thrown becomes code 11 and is told to
 * `onUnexpected`. Never rejects.
 */
export async function answerCall(
  line: string,
  handle: CniHandler,
  onUnexpected: (error: unknown) => void,
): Promise<CniAnswer> {
  let version: string = newestVersion;
  try {
    const { env, config } = parseCall(line);
    const raw = decodeConfig(config);
    version = answerVersion(raw);
    const known = parseConfig(raw);
    const { result } = await handle(toRequest(env['CNI_COMMAND'] ?? '', env, known));
    return { ok: true, stdout: result === undefined ? '' : JSON.stringify(toCniResult(known.cniVersion, result)) };
  } catch (error) {
    if (!(error instanceof CniError)) onUnexpected(error);
    const known = error instanceof CniError ? error : new CniError(cniErrors.tryAgain, `unexpected: ${String(error)}`);
    return { ok: false, stdout: JSON.stringify(toCniError(version, known)) };
  }
}
