// `npm run fuzz -- bgp [seconds] [seed]`: bad messages through decode, print, JSON, policy and encode, in this process, on
// one core. Prints the seed; every finding is cut to the smallest input that still shows it and kept in
// test/fixtures/bgp/fuzz, which the unit tests replay. Exits 1 when something was found.
import { createHash } from 'node:crypto';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { CONTEXTS, findFault } from './fuzz/bgp.ts';
import { mutate, seeded } from './fuzz/mutate.ts';

const [target, seconds = '60', seedText = `${Date.now() % 1_000_000}`] = process.argv.slice(2);
if (target !== 'bgp') {
  process.stderr.write('usage: npm run fuzz -- bgp [seconds] [seed]\n');
  process.exit(64);
}
const KEPT = 'test/fixtures/bgp/fuzz';
const MAX_FINDINGS = 20;
const POOL_EXTRA = 4000;

/** Whole messages to start from: recorded ones, the malformed corpus, earlier findings. */
function readSeeds(): Uint8Array[] {
  const files = ['test/fixtures/bgp/messages.json', 'test/fixtures/bgp/malformed.json', `${KEPT}/*.json`].flatMap(
    (glob) => globSync(glob),
  );
  const found = files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/"hex": ?"([0-9a-f]+)"/g)]);
  return found.map(([, hex = '']) => Uint8Array.from(Buffer.from(hex, 'hex'))).filter(({ length }) => length >= 19);
}

/** Leaves out byte after byte as long as the fault stays. */
function shrink(bytes: Uint8Array, shows: (smaller: Uint8Array) => boolean): Uint8Array {
  let small = bytes;
  for (let size = small.length >> 1; size > 0; size >>= 1) {
    for (let at = 19; at + size <= small.length; ) {
      const smaller = Uint8Array.from([...small.subarray(0, at), ...small.subarray(at + size)]);
      smaller[16] = smaller.length >> 8;
      smaller[17] = smaller.length & 0xff;
      if (shows(smaller)) small = smaller;
      else at += size;
    }
  }
  return small;
}

function keep(bytes: Uint8Array, contextIndex: number, fault: string): void {
  const kind = fault.split('\n', 2).join(' ').slice(0, 60);
  const cut = bytes.length >> 1;
  const context = CONTEXTS[contextIndex] ?? CONTEXTS[0];
  if (context === undefined) return;
  const same = (smaller: Uint8Array): boolean =>
    findFault(smaller, context, cut)?.split('\n', 2).join(' ').slice(0, 60) === kind;
  const hex = Buffer.from(same(bytes) ? shrink(bytes, same) : bytes).toString('hex');
  const name = createHash('sha256').update(`${kind}${hex}`).digest('hex').slice(0, 12);
  const entry = { fault: fault.split('\n', 1)[0], context, cut, hex };
  writeFileSync(`${KEPT}/${name}.json`, `${JSON.stringify(entry, undefined, 2)}\n`);
  process.stdout.write(`finding ${name}: ${fault}\n`);
}

const seed = Number(seedText);
const random = seeded(seed);
const seeds = readSeeds();
const pool = [...seeds];
const kinds = new Set<string>();
let runs = 0;
const end = performance.now() + Number(seconds) * 1000;
process.stdout.write(`fuzz bgp: seed ${seed}, ${seeds.length} messages to start from, ${seconds} s\n`);
while (performance.now() < end && kinds.size < MAX_FINDINGS) {
  const from = pool[Math.floor(random() * pool.length)];
  const contextIndex = Math.floor(random() * CONTEXTS.length);
  const context = CONTEXTS[contextIndex];
  if (from === undefined || context === undefined) break;
  const bytes = mutate(from, seeds, random);
  runs += 1;
  const fault = findFault(bytes, context, Math.floor(random() * bytes.length));
  // A changed message that is still a message is a better start than a recorded one.
  if (bytes.length < 4096 && random() < 0.02) {
    if (pool.length < seeds.length + POOL_EXTRA) pool.push(bytes);
    else pool[seeds.length + Math.floor(random() * POOL_EXTRA)] = bytes;
  }
  if (fault === undefined || kinds.has(fault.slice(0, 60))) continue;
  kinds.add(fault.slice(0, 60));
  keep(bytes, contextIndex, fault);
}
const rssMiB = Math.round(process.memoryUsage.rss() / 1_048_576);
process.stdout.write(`${runs} messages, ${kinds.size} kinds of findings, ${rssMiB} MiB\n`);
process.exitCode = kinds.size === 0 ? 0 : 1;
