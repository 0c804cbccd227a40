// What a machine must have before a lab can be built: root, iproute2, BIRD, network namespaces, veth and bridges.
// Each fault is one sentence that says what to do; all are found before anything is made.
import { execa } from 'execa';

/** The machine cannot carry a lab; exit code 77 (EX_NOPERM) for missing rights, 69 (EX_UNAVAILABLE) for missing things. */
export class HostError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

const noPermission = 77;
const unavailable = 69;

const programs: readonly { readonly name: string; readonly args: readonly string[]; readonly package: string }[] = [
  { name: 'ip', args: ['-V'], package: 'iproute2' },
  { name: 'bird', args: ['--version'], package: 'bird2' },
  { name: 'nft', args: ['--version'], package: 'nftables' },
  { name: 'ping', args: ['-V'], package: 'iputils-ping' },
];

async function checkPrograms(): Promise<void> {
  for (const program of programs) {
    const done = await execa(program.name, program.args, { reject: false });
    if (done.failed && done.exitCode === undefined) {
      throw new HostError(`\`${program.name}\` is not installed: apt-get install ${program.package}`, unavailable);
    }
  }
}

/** Tries the kernel features in a namespace that is removed again. */
async function checkKernel(): Promise<void> {
  const probe = `mx-probe-${process.pid}`;
  const made = await execa('ip', ['netns', 'add', probe], { reject: false });
  if (made.exitCode !== 0) {
    throw new HostError(`this kernel or container allows no network namespaces: ${made.stderr.trim()}`, unavailable);
  }
  try {
    for (const type of ['bridge', 'veth']) {
      const link = await execa('ip', ['-n', probe, 'link', 'add', `p-${type}`, 'type', type], { reject: false });
      if (link.exitCode !== 0) {
        throw new HostError(`this kernel has no ${type} interfaces: ${link.stderr.trim()}`, unavailable);
      }
    }
  } finally {
    await execa('ip', ['netns', 'del', probe], { reject: false });
  }
}

/** Throws HostError for the first thing that is missing. */
export async function checkHost(): Promise<void> {
  if (process.platform !== 'linux') throw new HostError('a lab needs Linux network namespaces', unavailable);
  if (process.getuid?.() !== 0)
    throw new HostError('a lab makes network namespaces and needs root: try it with sudo', noPermission);
  await checkPrograms();
  await checkKernel();
}
