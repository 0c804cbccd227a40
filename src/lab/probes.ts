// Measurements in a lab, read from the kernel and the wire and never from Manx itself: who answers a ping, which source
// address a receiver saw, how many of a stream of probes came back, which routes a kernel holds.
import { execa } from 'execa';
import { fileURLToPath } from 'node:url';

export interface Host {
  readonly name: string;
  readonly netns: string;
  readonly addresses: readonly string[];
}

export interface PingFailure {
  readonly from: string;
  readonly to: string;
}

const inside = (netns: string, argv: readonly string[]): readonly string[] => ['netns', 'exec', netns, ...argv];

/** Pings every address once from one namespace, all at the same time; gives those that did not answer. */
async function unanswered(netns: string, addresses: readonly string[]): Promise<readonly string[]> {
  const script = 'for a in "$@"; do (ping -n -q -c 1 -W 2 "$a" >/dev/null 2>&1 || echo "$a") & done; wait';
  const done = await execa('ip', inside(netns, ['sh', '-c', script, 'sh', ...addresses]), { reject: false });
  return done.stdout.split('\n').filter((line) => line !== '');
}

/** Pings from every source to every address of every target but itself. */
export async function pingAll(
  sources: readonly Host[],
  targets: readonly Host[],
): Promise<{ sent: number; failures: readonly PingFailure[] }> {
  let sent = 0;
  const failures: PingFailure[] = [];
  for (const source of sources) {
    const addresses = targets.filter((target) => target.name !== source.name).flatMap((target) => target.addresses);
    sent += addresses.length;
    for (const to of await unanswered(source.netns, addresses)) failures.push({ from: source.name, to });
  }
  return { sent, failures };
}

export interface StreamResult {
  readonly sent: number;
  readonly received: number;
  readonly elapsedMs: number;
}

/** A stream of numbered echo requests; a request without its reply counts as lost. Stops by itself. */
export async function pingStream(
  netns: string,
  address: string,
  options: { count: number; intervalMs: number },
): Promise<StreamResult> {
  const begin = performance.now();
  const interval = String(options.intervalMs / 1000);
  const argv = ['ping', '-n', '-q', '-c', String(options.count), '-i', interval, '-W', '2', address];
  const done = await execa('ip', inside(netns, argv), { reject: false });
  const match = /(\d+) packets transmitted, (\d+) received/.exec(done.stdout);
  return { sent: Number(match?.[1] ?? 0), received: Number(match?.[2] ?? 0), elapsedMs: performance.now() - begin };
}

/** The source address that a UDP receiver in `to` saw on a datagram sent from `from`; '' when none arrived in 3 s. */
export async function observedSource(from: Host, to: Host, address: string): Promise<string> {
  const program = fileURLToPath(new URL('./probe-udp.ts', import.meta.url));
  const port = '7001';
  const receiver = execa('ip', inside(to.netns, [process.execPath, program, 'receive', address, port]), {
    reject: false,
  });
  const sender = execa('ip', inside(from.netns, [process.execPath, program, 'send', address, port]), { reject: false });
  const seen = await receiver;
  await sender;
  return seen.stdout.trim();
}

/** True when the kernel of a namespace has a unicast route for exactly this prefix. */
export async function hasRoute(netns: string, prefix: string): Promise<boolean> {
  const family = prefix.includes(':') ? '-6' : '-4';
  const done = await execa('ip', [family, '-n', netns, 'route', 'show', 'type', 'unicast', 'exact', prefix], {
    reject: false,
  });
  return done.stdout.trim() !== '';
}

/** Removes a route by hand, as a person at 3 a.m. would. */
export async function deleteRoute(netns: string, prefix: string): Promise<void> {
  const family = prefix.includes(':') ? '-6' : '-4';
  await execa('ip', [family, '-n', netns, 'route', 'del', prefix]);
}
