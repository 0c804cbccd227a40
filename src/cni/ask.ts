// One request to the agent over its Unix socket: connect, one line out, one line in.
//
// Every outcome but an answer is CniError 11 (try again later): no socket, nobody listening, hung up, too long, too late.
// The agent being away is never a reason to report success, not even for DEL: the runtime retries, and nothing leaks.
import { createConnection } from 'node:net';
import {
  CniError,
  cniErrors,
  formatRequest,
  maxMessageBytes,
  parseResponse,
  type CniRequest,
  type CniResponse,
} from './protocol.ts';

/** Asks the agent at `socket`. Rejects with CniError 11, or 6 for an answer that cannot be read. */
export async function askAgent(socket: string, request: CniRequest, signal: AbortSignal): Promise<CniResponse> {
  const line = await exchange(socket, formatRequest(request), signal);
  return parseResponse(line);
}

function exchange(path: string, line: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = createConnection({ path });
    const chunks: Buffer[] = [];
    let received = 0;
    const finish = (error: CniError | undefined, answer = ''): void => {
      connection.destroy();
      if (error === undefined) resolve(answer);
      else reject(error);
    };
    signal.addEventListener('abort', () => finish(late(request(line))), { once: true });
    connection.on('connect', () => connection.write(line));
    connection.on('error', (error) => finish(absent(path, error)));
    connection.on('close', () => finish(retry(`the agent closed ${path} without an answer`)));
    connection.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      const end = chunk.indexOf(10);
      if (received > maxMessageBytes) finish(retry(`the answer of the agent is longer than ${maxMessageBytes} bytes`));
      else if (end >= 0)
        finish(
          undefined,
          Buffer.concat(chunks)
            .subarray(0, received - chunk.length + end)
            .toString(),
        );
    });
  });
}

function request(line: string): string {
  return /"command":"(\w+)"/.exec(line)?.[1] ?? 'request';
}

function retry(message: string, details?: string): CniError {
  return new CniError(cniErrors.tryAgain, message, details);
}

function late(command: string): CniError {
  return retry(`the agent did not answer ${command} in time; see /readyz?verbose of the agent on this node`);
}

function absent(path: string, error: NodeJS.ErrnoException): CniError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'is not running: there is no socket at',
    ECONNREFUSED: 'is not running: nobody listens at',
    EPIPE: 'ended during the request at',
    ECONNRESET: 'ended during the request at',
  };
  const what = reasons[error.code ?? ''] ?? `cannot be reached (${error.message}) at`;
  return retry(`the Manx agent of this node ${what} ${path}`, error.code);
}
