// `npm run build`: esbuild bundles of the programs that ship in an image: dist/agent.js, dist/speaker.js (its worker),
// dist/manxctl.js, dist/cni.js; and, where there is a C compiler, dist/cni-client, the CNI plugin agents prefer to install. Tests and development run the sources; a bundle starts faster and halves memory.
import { mkdirSync, statSync } from 'node:fs';
import { build } from 'esbuild';
import { compileClient } from './cni-client.ts';

interface Bundle {
  readonly entry: string;
  readonly outfile: string;
  /** Bytes; a plugin that grows past this drags something heavy in. */
  readonly maxBytes?: number;
}

const bundles: readonly Bundle[] = [
  { entry: 'src/agent/main.ts', outfile: 'dist/agent.js' },
  { entry: 'src/speaker/worker.ts', outfile: 'dist/worker.js' },
  { entry: 'src/libc/netlink-worker.ts', outfile: 'dist/netlink-worker.js' },
  { entry: 'src/controller/main.ts', outfile: 'dist/controller.js' },
  { entry: 'src/cli/main.ts', outfile: 'dist/manxctl.js' },
  { entry: 'src/cni/main.ts', outfile: 'dist/cni.js', maxBytes: 100_000 },
];

// Bundled CommonJS packages call require(); ES modules have none until it is made.
const banner =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

for (const bundle of bundles) {
  const result = await build({
    entryPoints: [bundle.entry],
    outfile: bundle.outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    metafile: true,
    banner: { js: banner },
    legalComments: 'linked',
    logLevel: 'warning',
  });
  const bytes = result.metafile.outputs[bundle.outfile]?.bytes ?? 0;
  process.stdout.write(`${bundle.outfile}: ${Math.round(bytes / 1000)} kB\n`);
  if (bundle.maxBytes !== undefined && bytes > bundle.maxBytes) {
    process.stderr.write(
      `${bundle.outfile} is larger than ${bundle.maxBytes} bytes: ${Object.keys(result.metafile.inputs).join(', ')}\n`,
    );
    process.exitCode = 1;
  }
}

mkdirSync('dist', { recursive: true });
const compiled = compileClient('dist/cni-client');
if (compiled.ok)
  process.stdout.write(
    `dist/cni-client: ${Math.round(statSync('dist/cni-client').size / 1000)} kB, by ${compiled.compiler}\n`,
  );
else process.stdout.write(`dist/cni-client: left out, agents install the Node.js client: ${compiled.reason}\n`);
