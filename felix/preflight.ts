/**
 * What must be true before the first write, tried rather than guessed: capabilities, programs, and the kernel's veth and
 * nftables, the last two in a throw-away network namespace (`unshare --net`), so that trying leaves no trace here.
 */
import { readFile } from 'node:fs/promises';
import { masqueradeTable } from './calc/masquerade.ts';
import { FelixError } from './errors.ts';
import { quote, type Shell } from './iproute2/shell.ts';
import type { FelixSettings } from './options.ts';
import { NFT_TABLE } from './ownership.ts';
import { parsePrefix } from '#net';

/** capability(7): bits of CapEff. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

const PROGRAMS = [
  { name: 'ip', hint: 'install iproute2' },
  { name: 'nsenter', hint: 'install util-linux' },
  { name: 'unshare', hint: 'install util-linux' },
] as const;

/** Checks this host · throws FelixError NOT_ROOT, PROGRAM_MISSING, KERNEL_FEATURE, INVALID; NAT alone is only reported. */
export async function checkHost(
  shell: Shell,
  settings: FelixSettings,
): Promise<{ readonly natReason: string | undefined; readonly nexthopReason: string | undefined }> {
  checkSettings(settings);
  await checkCapabilities();
  for (const { name, hint } of PROGRAMS) {
    if (await isMissing(shell, name)) {
      throw new FelixError('PROGRAM_MISSING', `program ${name} was not found in PATH: ${hint}`);
    }
  }
  const veth = await shell.run('unshare --net ip link add mxprobe0 type veth peer name mxprobe1');
  if (veth.code !== 0) {
    throw new FelixError(
      'KERNEL_FEATURE',
      `this kernel cannot make veth interfaces (CONFIG_VETH): ${veth.stderr.trim()}`,
    );
  }
  const [nat, nexthop] = await Promise.all([natReason(shell), nexthopReason(shell)]);
  return { natReason: nat, nexthopReason: nexthop };
}

async function natReason(shell: Shell): Promise<string | undefined> {
  if (await isMissing(shell, 'nft')) return 'program nft was not found in PATH: install nftables';
  const table = masqueradeTable([{ cidr: parsePrefix('192.0.2.0/24'), natOutgoing: true }], NFT_TABLE) ?? '';
  const { code, stderr } = await shell.run(`printf '%s\\n' ${quote(table)} | unshare --net nft -f -`);
  return code === 0
    ? undefined
    : `this kernel cannot masquerade with nftables (CONFIG_NFT_MASQ): ${stderr.trim().split('\n')[0]}`;
}

/** Nexthop objects came with Linux 5.3 and iproute2 5.2. */
async function nexthopReason(shell: Shell): Promise<string | undefined> {
  const script = 'ip nexthop add id 1 blackhole && ip nexthop add id 2 group 1 && ip route add 192.0.2.0/24 nhid 2';
  const { code, stderr } = await shell.run(`unshare --net sh -c 'ip link set lo up && ${script}'`);
  return code === 0
    ? undefined
    : `this kernel or this iproute2 has no nexthop objects: ${stderr.trim().split('\n')[0]}`;
}

async function isMissing(shell: Shell, program: string): Promise<boolean> {
  return (await shell.run(`command -v ${program} >/dev/null`)).code !== 0;
}

async function checkCapabilities(): Promise<void> {
  const status = await readFile('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const missing = Object.entries(CAPABILITIES).filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n);
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name).join(' and ');
  throw new FelixError('NOT_ROOT', `this process lacks ${names}: run it as root or in a privileged container`);
}

function checkSettings(settings: FelixSettings): void {
  const wrong = (field: string, expected: string) => {
    throw new FelixError('INVALID', `felix setting ${field}: expected ${expected}`);
  };
  if (!/^[a-z][a-z0-9]{0,3}$/.test(settings.interfacePrefix))
    wrong('interfacePrefix', '1 to 4 lower-case letters or digits');
  if (!inRange(settings.routeProtocol, 5, 255)) wrong('routeProtocol', 'an integer from 5 to 255');
  if (!inRange(settings.metric, 1, 4_294_967_294)) wrong('metric', 'an integer from 1 to 4294967294');
  if (settings.mtu !== undefined && !inRange(settings.mtu, 576, 65_535)) wrong('mtu', 'an integer from 576 to 65535');
  if (!inRange(settings.resyncMs, 1000, 86_400_000)) wrong('resyncMs', 'an integer from 1000 to 86400000');
}

function inRange(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
