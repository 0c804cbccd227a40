// `npm run check`: everything that can be judged without a kernel or a peer, in under a minute. Types, format, lint, dead
// code, generated files, unit tests. Steps run two at a time; the output of a step is shown only when it fails.
import { spawn } from 'node:child_process';

interface Step {
  readonly name: string;
  readonly argv: readonly string[];
}

const steps: readonly Step[] = [
  { name: 'unit tests', argv: ['node', 'scripts/run-tests.ts', 'unit'] },
  { name: 'types (tsc)', argv: ['tsc'] },
  {
    name: 'lint (oxlint)',
    argv: ['oxlint', '--type-aware', 'base', 'bgp', 'ipam', 'felix', 'src', 'test', 'scripts', 'crds'],
  },
  { name: 'format (biome)', argv: ['biome', 'format', '.'] },
  { name: 'dead code (knip)', argv: ['knip'] },
  { name: 'generated files', argv: ['node', 'scripts/generate.ts', '--check'] },
  { name: 'docs (links)', argv: ['node', 'scripts/check-docs.ts'] },
];

interface Outcome {
  readonly step: Step;
  readonly ok: boolean;
  readonly output: string;
  readonly tookMs: number;
}

async function runStep(step: Step): Promise<Outcome> {
  const begin = performance.now();
  const [program = '', ...args] = step.argv;
  return await new Promise((resolve) => {
    const child = spawn(program, args, {
      env: { ...process.env, PATH: `node_modules/.bin:${process.env['PATH'] ?? ''}` },
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', (error) =>
      resolve({ step, ok: false, output: error.message, tookMs: performance.now() - begin }),
    );
    child.on('close', (code) => resolve({ step, ok: code === 0, output, tookMs: performance.now() - begin }));
  });
}

const queue = [...steps];
let failures = 0;

async function worker(): Promise<void> {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    const outcome = await runStep(step);
    if (!outcome.ok) failures += 1;
    process.stdout.write(`${outcome.ok ? 'ok  ' : 'FAIL'} ${step.name} (${(outcome.tookMs / 1000).toFixed(1)} s)\n`);
    if (!outcome.ok) process.stdout.write(`${outcome.output}\n`);
  }
}

const begin = performance.now();
await Promise.all([worker(), worker()]);
const took = ((performance.now() - begin) / 1000).toFixed(1);
process.stdout.write(
  `${failures === 0 ? 'check: all good' : `check: ${failures} of ${steps.length} failed`} (${took} s)\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
