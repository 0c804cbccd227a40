// A container runtime's part of the CNI benchmark: executes plugins in the network namespace it was started in and takes the
// time from before the fork to after the end. A process of its own, small, so that a fork costs both sides the same.
//
// One JSON line in: {file, env, config}[] (all at once), one JSON line out: {ms, code, stdout}[].
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface PluginCall {
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
  readonly config: string;
}

export interface PluginOutcome {
  readonly ms: number;
  readonly code: number | null;
  readonly stdout: string;
}

function runAlone({ file, env, config }: PluginCall): PluginOutcome {
  const started = performance.now();
  const done = spawnSync(file, { env: { ...env, PATH: process.env['PATH'] ?? '' }, input: config, encoding: 'utf8' });
  return { ms: performance.now() - started, code: done.status, stdout: done.stdout + done.stderr };
}

function runTogether({ file, env, config }: PluginCall): Promise<PluginOutcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(file, { env: { ...env, PATH: process.env['PATH'] ?? '' } });
    let stdout = '';
    child.stdout.on('data', (chunk) => void (stdout += String(chunk)));
    child.stderr.on('data', (chunk) => void (stdout += String(chunk)));
    child.stdin.on('error', () => undefined);
    child.stdin.end(config);
    child.on('close', (code) => resolve({ ms: performance.now() - started, code, stdout }));
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const calls = JSON.parse(line) as readonly PluginCall[];
  const [only] = calls;
  const outcomes =
    calls.length === 1 && only !== undefined ? [runAlone(only)] : await Promise.all(calls.map(runTogether));
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
}
