// The CNI plugin: CNI_* environment and stdin in, the agent's answer on stdout out (CNI specification 0.3.1 to 1.1.0).
//
// It has no state and touches no kernel object: the agent does the work, so that one process owns it. Stdout carries JSON
// only. It always ends: stdin, connection and answer share one deadline (30 s, `timeoutSec` of the configuration), well
// below the 2 minutes of the kubelet. Only Node's built-in modules are imported: this runs once per pod and per STATUS.
import { writeSync } from 'node:fs';
import { askAgent } from './ask.ts';
import { answerVersion, decodeConfig, newestVersion, parseConfig, supportedVersions, toRequest } from './invocation.ts';
import { CniError, cniErrors } from './protocol.ts';
import { toCniError, toCniResult } from './result.ts';

const maxConfigBytes = 4 * 1024 * 1024;
const stdinTimeoutMs = 30_000;

function print(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

function fail(version: string, error: unknown): never {
  const known = error instanceof CniError ? error : new CniError(cniErrors.io, `unexpected: ${String(error)}`);
  print(toCniError(version, known));
  process.exit(1);
}

async function readStdin(): Promise<string> {
  const timer = setTimeout(() => {
    fail(newestVersion, new CniError(cniErrors.tryAgain, 'the network configuration on stdin did not end in time'));
  }, stdinTimeoutMs);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxConfigBytes)
      throw new CniError(cniErrors.undecodable, `the network configuration is longer than ${maxConfigBytes} bytes`);
  }
  clearTimeout(timer);
  return Buffer.concat(chunks).toString();
}

async function run(command: string): Promise<void> {
  let version: string = newestVersion;
  try {
    const input = await readStdin();
    const raw = command === 'VERSION' && input.trim() === '' ? {} : decodeConfig(input);
    version = answerVersion(raw);
    if (command === 'VERSION') {
      print({ cniVersion: version, supportedVersions });
      return;
    }
    const config = parseConfig(raw);
    const request = toRequest(command, process.env, config);
    // performance.now() counts from the start of this process: reading stdin is inside the deadline.
    const remainingMs = Math.max(1, Math.round(config.timeoutMs - performance.now()));
    const response = await askAgent(config.socket, request, AbortSignal.timeout(remainingMs));
    if (!response.ok) fail(version, new CniError(response.code, response.message, response.details));
    if (request.command === 'ADD') {
      if (response.result === undefined)
        throw new CniError(cniErrors.undecodable, 'the agent answered ADD without a result');
      print(toCniResult(config.cniVersion, response.result));
    }
  } catch (error) {
    fail(version, error);
  }
}

const command = process.env['CNI_COMMAND'];
if (command === undefined || command === '') {
  process.stderr.write(
    `Manx CNI plugin. Container runtimes run it; supported CNI versions: ${supportedVersions.join(', ')}\n`,
  );
  fail(newestVersion, new CniError(cniErrors.invalidEnvironment, 'CNI_COMMAND is missing'));
}
await run(command);
