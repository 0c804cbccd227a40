// Parsing addresses: base/net against the ip-address library (decision 0004). Medians of several rounds, ns per address.
import { createRequire } from 'node:module';
import { Address4, Address6 } from 'ip-address';
import { parseIp, parsePrefix } from '#net';

const rounds = 9;
const perRound = 100_000;

const texts4 = Array.from({ length: 1000 }, (_, i) => `10.${i % 256}.${(i * 7) % 256}.${(i * 13) % 256}`);
const texts6 = Array.from({ length: 1000 }, (_, i) => `2001:db8:${(i * 7).toString(16)}::${(i + 1).toString(16)}`);

/** Median ns per call over the rounds, after one round to warm up. */
function measure(texts: readonly string[], parse: (text: string) => unknown): number {
  const results: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < perRound; i += 1) parse(texts[i % texts.length] ?? '');
    if (round > 0) results.push(Number(process.hrtime.bigint() - begin) / perRound);
  }
  return results.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? 0;
}

const version: unknown = createRequire(import.meta.url)('ip-address/package.json');
const peer = `ip-address ${typeof version === 'object' && version !== null && 'version' in version ? String(version.version) : ''}`;
const rows = [
  { name: 'IPv4 address', ours: measure(texts4, parseIp), theirs: measure(texts4, (text) => new Address4(text)) },
  { name: 'IPv6 address', ours: measure(texts6, parseIp), theirs: measure(texts6, (text) => new Address6(text)) },
  {
    name: 'IPv4 prefix',
    ours: measure(
      texts4.map((text) => `${text}/32`),
      parsePrefix,
    ),
    theirs: measure(
      texts4.map((text) => `${text}/32`),
      (text) => new Address4(text),
    ),
  },
];
process.stdout.write(`node ${process.version}, ${peer}; ${rounds} rounds of ${perRound}, medians\n`);
for (const row of rows) {
  const ratio = (row.ours / row.theirs).toFixed(2);
  process.stdout.write(
    `${row.name.padEnd(14)} ours ${row.ours.toFixed(0).padStart(5)} ns   theirs ${row.theirs.toFixed(0).padStart(5)} ns   ratio ${ratio}\n`,
  );
}
