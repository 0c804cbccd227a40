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

/** How many of `count` echo requests, one every 20 ms, were answered. */
export async function answered(from: Host, address: string, count: number): Promise<number> {
  const argv = ['ping', '-n', '-q', '-c', String(count), '-i', '0.02', '-W', '1', address];
  const done = await execa('ip', inside(from.netns, argv), { reject: false });
  return Number(/(\d+) received/.exec(done.stdout)?.[1] ?? 0);
}

const probe = fileURLToPath(new URL('./probe-udp.ts', import.meta.url));
const sourcePort = '7001';
const streamPort = '7002';

/** Runs the UDP probe in a namespace and gives what it printed; {} when it printed nothing. */
async function runProbe(netns: string, argv: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const done = await execa('ip', inside(netns, [process.execPath, probe, ...argv]), { reject: false });
  const parsed: unknown = done.stdout.trim() === '' ? {} : JSON.parse(done.stdout);
  return Object.fromEntries(Object.entries(parsed ?? {}));
}

export interface StreamResult {
  readonly sent: number;
  /** Distinct sequence numbers that reached the other end. */
  readonly arrived: number;
  /** Distinct sequence numbers that came back. */
  readonly returned: number;
  readonly perSecond: number;
}

/** `seconds` of numbered datagrams at 100 a second from one host to another and back. */
export async function streamBetween(
  from: Host,
  to: Host,
  options: { address: string; seconds: number },
): Promise<StreamResult> {
  const lifetimeMs = String(options.seconds * 1000 + 4000);
  const reflector = runProbe(to.netns, ['reflect', options.address, streamPort, lifetimeMs]);
  await waitForReflector(to.netns);
  const stream = await runProbe(from.netns, [
    'stream',
    options.address,
    streamPort,
    String(options.seconds * 100),
    '10',
  ]);
  const { arrived } = await reflector;
  const sent = Number(stream['sent'] ?? 0);
  return {
    sent,
    arrived: Number(arrived ?? 0),
    returned: Number(stream['returned'] ?? 0),
    perSecond: Math.round(sent / (Number(stream['elapsedMs'] ?? Number.NaN) / 1000)),
  };
}

/** Until the reflector's socket is in the namespace's own table: a stream must not begin before its mirror hangs. */
async function waitForReflector(netns: string): Promise<void> {
  const script = `for i in $(seq 100); do grep -qi ':${Number(streamPort).toString(16)} ' /proc/net/udp /proc/net/udp6 && exit 0; sleep 0.02; done`;
  await execa('ip', inside(netns, ['sh', '-c', script]), { reject: false });
}

/** The source address that a UDP receiver in `to` saw on a datagram sent from `from`; '' when none arrived in 3 s. */
export async function observedSource(from: Host, to: Host, address: string): Promise<string> {
  const receiver = runProbe(to.netns, ['receive', address, sourcePort]);
  await runProbe(from.netns, ['send', address, sourcePort]);
  const { source } = await receiver;
  return typeof source === 'string' ? source : '';
}

/** The global addresses that the kernel of a namespace has on its eth0, as text. */
export async function kernelAddresses(netns: string): Promise<readonly string[]> {
  const done = await execa('ip', ['-n', netns, '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'], {
    reject: false,
  });
  return [...done.stdout.matchAll(/inet6? ([^/ ]+)/g)].map((match) => match[1] ?? '');
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
