// The CNI plugin, reference client: CNI_* environment and stdin to the agent, its answer to stdout (CNI 0.3.1 to 1.1.0).
// client.c is the same program for where a C compiler was at hand; the same tests hold for both.
//
// It has no state, judges nothing and touches no kernel object: the agent does the work, so that one process owns it. Stdout
// carries JSON only. It always ends: stdin, connection and answer share one deadline (30 s, `timeoutSec` of the configuration),
// well below the 2 minutes of the kubelet. Only Node's built-in modules are imported: this runs once per pod and per STATUS.
import { writeSync } from 'node:fs';
import { askAgent, defaultTimeoutMs, parseReach } from './ask.ts';
import {
  answerVersion,
  CniError,
  cniErrors,
  decodeConfig,
  maxConfigBytes,
  newestVersion,
  supportedVersions,
  toCniError,
} from './wire.ts';

function print(text: string): void {
  if (text !== '') writeSync(1, `${text}\n`);
}

function fail(version: string, error: unknown): never {
  const known = error instanceof CniError ? error : new CniError(cniErrors.io, `unexpected: ${String(error)}`);
  print(JSON.stringify(toCniError(version, known)));
  process.exit(1);
}

async function readStdin(): Promise<string> {
  const timer = setTimeout(() => {
    fail(newestVersion, new CniError(cniErrors.tryAgain, 'the network configuration on stdin did not end in time'));
  }, defaultTimeoutMs);
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
    const config = await readStdin();
    const raw = command === 'VERSION' && config.trim() === '' ? {} : decodeConfig(config);
    version = answerVersion(raw);
    if (command === 'VERSION') {
      print(JSON.stringify({ cniVersion: version, supportedVersions }));
      return;
    }
    const { socket, timeoutMs } = parseReach(raw);
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('CNI_')));
    // performance.now() counts from the start of this process: reading stdin is inside the deadline.
    const remainingMs = Math.max(1, Math.round(timeoutMs - performance.now()));
    const answer = await askAgent(socket, { env, config }, AbortSignal.timeout(remainingMs));
    print(answer.stdout);
    if (!answer.ok) process.exit(1);
  } catch (error) {
    fail(version, error);
  }
}

const command = process.env['CNI_COMMAND'];
if (command === undefined || command === '') {
  const message = 'CNI_COMMAND is missing: container runtimes run this plugin';
  fail(newestVersion, new CniError(cniErrors.invalidEnvironment, message));
}
await run(command);
