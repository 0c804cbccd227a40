// The house rules that a machine can hold: who may import whom, what is pure, where processes and sockets are made, how
// long a file may be. The tables are the documentation (docs/architecture.md draws them).
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = dirname(import.meta.dirname);

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const isTest = (path: string): boolean => /\.(test|contract)\.ts$/.test(path);

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
  return { path, text, imports: specifiers };
}

const sources = globSync(['{base,bgp,ipam,felix,src}/**/*.ts'], { cwd: root })
  .filter((path) => !isTest(path))
  .map(readSource);

const ground = ['#net', '#reconcile', '#selector'];

/** Room (a path prefix; the longest that fits counts) → what it may import of ours across its wall. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'base/net/': [],
  'base/reconcile/': [],
  'base/selector/': [],
  'bgp/': ground,
  'ipam/': ground,
  'felix/': ground,
  'src/kube/': [...ground, '#ipam'],
  'src/libc/': [...ground, '#bgp', '#felix'],
  'src/observe/': ground,
  'src/speaker/': [...ground, '#bgp', '#felix', '#libc', '#observe'],
  'src/program/': ['#observe', '#package'],
  'src/cni/': [],
  'src/agent/': [
    ...ground,
    '#bgp',
    '#ipam',
    '#felix',
    '#kube',
    '#libc',
    '#observe',
    '#program',
    '#speaker',
    '#cni-protocol',
  ],
  'src/controller/': [...ground, '#ipam', '#kube', '#observe', '#program'],
  'src/lab/': [...ground, '#kube', '#observe'],
  'src/cli/': [...ground, '#lab', '#kube', '#ipam'],
};

function roomOf(path: string): string | undefined {
  const rooms = Object.keys(mayImport).filter((room) => path.startsWith(room));
  return rooms.toSorted((a, b) => b.length - a.length)[0];
}

test('every source file lives in a known room', () => {
  assert.deepEqual(
    sources.map((source) => source.path).filter((path) => roomOf(path) === undefined),
    [],
  );
});

test('no import crosses a wall that has no door', () => {
  const crossings: string[] = [];
  for (const source of sources) {
    const room = roomOf(source.path) ?? '';
    for (const specifier of source.imports) {
      const isRelative = specifier.startsWith('.');
      if (isRelative && !join(dirname(source.path), specifier).startsWith(room))
        crossings.push(`${source.path} → ${specifier}`);
      if (specifier.startsWith('#') && !mayImport[room]?.includes(specifier))
        crossings.push(`${source.path} → ${specifier}`);
    }
  }
  assert.deepEqual(crossings, []);
});

/** Code that is a function of its arguments: no built-in modules, no clock, no chance, no environment, no printing. */
const pure = [
  /^base\//,
  /^bgp\/(iana|errors)\.ts$/,
  /^bgp\/wire\//,
  /^bgp\/session\/(fsm|negotiate|collision)\.ts$/,
  /^bgp\/rib\//,
  /^bgp\/policy\//,
  /^ipam\/(block|affinity|pool|errors)\.ts$/,
  /^felix\/calc\//,
  /^src\/controller\/(snapshot|sandbox|collect|lease|pool-report)\.ts$/,
  /^src\/lab\/(topology|objects)\.ts$/,
];
const impure = [
  { what: 'a built-in module', pattern: /from 'node:/ },
  { what: 'the clock', pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|process\.hrtime/ },
  { what: 'chance', pattern: /\bMath\.random\(|crypto\.random/ },
  { what: 'a timer', pattern: /(?<![.\w])(setTimeout|setInterval|setImmediate|queueMicrotask)\(/ },
  { what: 'the environment', pattern: /\bprocess\.env\b/ },
  { what: 'printing', pattern: /\bconsole\.|process\.std(out|err)/ },
];

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');

test('pure rooms know no clock, no chance, no environment and no built-in module', () => {
  const faults: string[] = [];
  for (const source of sources.filter(({ path }) => pure.some((room) => room.test(path)))) {
    const code = withoutComments(source.text);
    for (const { what, pattern } of impure) if (pattern.test(code)) faults.push(`${source.path}: ${what}`);
  }
  assert.deepEqual(faults, []);
});

/** Module → the only places that may import it. */
const doors: Readonly<Record<string, readonly RegExp[]>> = {
  'prom-client': [/^src\/observe\//],
  fastify: [/^src\/observe\//, /^src\/lab\/apiserver\//],
  koffi: [/^src\/libc\//],
  pino: [/^src\/observe\//],
  '@kubernetes/client-node': [/^src\/kube\//],
  '@bufbuild/cel': [/^src\/kube\/cel/],
  commander: [/^src\/cli\//],
  execa: [/^felix\/iproute2\/run\.ts$/, /^felix\/.*\/run\.ts$/, /^src\/lab\//],
  'node:child_process': [/^src\/lab\//],
  'node:worker_threads': [/^src\/(speaker|libc)\//],
  'node:net': [/^bgp\/session\/(connection|tcp-transport)\.ts$/, /^bgp\/speaker\.ts$/, /^src\/(agent|cni|lab)\//],
};

test('processes, sockets and heavy libraries are used only where the house says', () => {
  const faults: string[] = [];
  for (const source of sources) {
    for (const specifier of source.imports) {
      const allowed = Object.hasOwn(doors, specifier) ? doors[specifier] : undefined;
      if (allowed !== undefined && !allowed.some((door) => door.test(source.path)))
        faults.push(`${source.path} → ${specifier}`);
    }
  }
  assert.deepEqual(faults, []);
});

test('process.env is read in the settings table alone', () => {
  const allowed = [/^src\/(agent|controller)\/(main|settings)\.ts$/, /^src\/cni\/main\.ts$/, /^src\/(lab|cli)\//];
  const readers = sources.filter(
    ({ path, text }) => /\bprocess\.env\b/.test(withoutComments(text)) && !allowed.some((door) => door.test(path)),
  );
  assert.deepEqual(
    readers.map((source) => source.path),
    [],
  );
});

const maxLines = 400;

test(`no file has more than ${maxLines} lines`, () => {
  const generated = /^src\/kube\/types\.ts$/;
  const long = sources.filter(({ path, text }) => !generated.test(path) && text.split('\n').length > maxLines);
  assert.deepEqual(
    long.map(({ path, text }) => `${path}: ${text.split('\n').length}`),
    [],
  );
});

test('the agent composes the system in at most 120 lines', () => {
  const main = sources.find(({ path }) => path === 'src/agent/main.ts');
  assert.ok(main !== undefined, 'src/agent/main.ts is missing');
  assert.ok(main.text.split('\n').length <= 121, `src/agent/main.ts has ${main.text.split('\n').length} lines`);
});

test('every top folder has a README', () => {
  const folders = ['base', 'bgp', 'ipam', 'felix', 'src', 'crds', 'deploy', 'test', 'docs'];
  const missing = folders.filter((folder) => globSync(`${folder}/README.md`, { cwd: root }).length === 0);
  assert.deepEqual(missing, []);
});
