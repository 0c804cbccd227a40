// One request to the agent over its Unix socket: connect, one line out, one line in.
//
// Every outcome but an answer is CniError 11 (try again later): no socket, nobody listening, hung up, too long, too late.
// The agent being away is never a reason to report success, not even for DEL: the runtime retries, and nothing leaks.
import { createConnection } from 'node:net';
import {
  CniError,
  cniErrors,
  formatCall,
  maxAnswerBytes,
  maxRequestBytes,
  parseAnswer,
  type CniAnswer,
  type CniCall,
} from './wire.ts';

/** Where the agent is and how long to wait for it, as the configuration says. */
export interface Reach {
  readonly socket: string;
  readonly timeoutMs: number;
}

const defaultSocket = '/run/manx/cni.sock';
export const defaultTimeoutMs = 30_000;
/** The kubelet waits for two minutes. */
const maxTimeoutSec = 110;

/** The two fields of the configuration that are the plugin's own. Throws CniError 7. */
export function parseReach(config: Readonly<Record<string, unknown>>): Reach {
  const { socket = defaultSocket, timeoutSec = defaultTimeoutMs / 1000 } = config;
  // sun_path holds 108 bytes; a client in C decodes no escapes.
  if (typeof socket !== 'string' || !/^\/[ !#-[\]-~]{0,106}$/.test(socket))
    throw invalid('socket', 'an absolute path of printable ASCII below 108 bytes');
  if (typeof timeoutSec !== 'number' || !(timeoutSec > 0 && timeoutSec <= maxTimeoutSec))
    throw invalid('timeoutSec', `seconds, more than 0 and at most ${maxTimeoutSec}`);
  return { socket, timeoutMs: timeoutSec * 1000 };
}

function invalid(field: string, expected: string): CniError {
  return new CniError(cniErrors.invalidConfig, `network configuration: ${field}: expected ${expected}`);
}

/** Asks the agent at `socket`. Rejects with CniError 11, or 6 for what cannot be sent or read. */
export async function askAgent(socket: string, call: CniCall, signal: AbortSignal): Promise<CniAnswer> {
  const line = formatCall(call);
  if (Buffer.byteLength(line) > maxRequestBytes)
    throw new CniError(cniErrors.undecodable, `the request is longer than ${maxRequestBytes} bytes`);
  return parseAnswer(await exchange(socket, line, signal));
}

function exchange(path: string, line: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = createConnection({ path });
    let received = Buffer.alloc(0);
    const refuse = (error: CniError): void => {
      connection.destroy();
      reject(error);
    };
    const late = 'the agent did not answer in time; see /readyz?verbose of the agent on this node';
    signal.addEventListener('abort', () => refuse(retry(late)), { once: true });
    connection.on('connect', () => connection.write(line));
    connection.on('error', (error) => refuse(absent(path, error)));
    connection.on('close', () => refuse(retry(`the agent closed ${path} without an answer`)));
    connection.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf(10);
      if (end < 0 && received.length <= maxAnswerBytes) return;
      if (end < 0) refuse(retry(`the answer of the agent is longer than ${maxAnswerBytes} bytes`));
      else {
        resolve(received.subarray(0, end).toString());
        connection.destroy();
      }
    });
  });
}

function retry(message: string): CniError {
  return new CniError(cniErrors.tryAgain, message);
}

function absent(path: string, error: NodeJS.ErrnoException): CniError {
  const known: Readonly<Record<string, string>> = { ENOENT: 'there is no socket', ECONNREFUSED: 'nobody listens' };
  const why = known[error.code ?? ''] ?? error.message;
  return retry(`the Manx agent of this node is not running: ${why} at ${path}`);
}
