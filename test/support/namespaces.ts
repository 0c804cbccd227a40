/**
 * Network namespaces for tests that need a kernel: made with unique names, taken down with everything in them, and
 * nothing outside of them is touched.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

let serial = 0;

export class Namespace {
  readonly name: string;

  constructor(label: string) {
    serial += 1;
    this.name = `mxt-${process.pid}-${serial}-${label}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    this.sh('ip link set lo up');
  }

  get path(): string {
    return `/var/run/netns/${this.name}`;
  }

  /** Runs a script in the namespace; returns stdout, throws with stderr. */
  sh(script: string): string {
    const { status, stdout, stderr } = this.try(script);
    if (status !== 0) throw new Error(`${this.name}: ${script}: ${stderr || stdout}`);
    return stdout;
  }

  try(script: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
    return spawnSync('nsenter', [`--net=${this.path}`, 'sh', '-c', script], { encoding: 'utf8' });
  }

  /** Routes as text, one per line, sorted and with single blanks. */
  routes(filter = ''): readonly string[] {
    const text = this.sh(`ip -4 route show ${filter}; ip -6 route show ${filter}`);
    const joined = text.replaceAll(/\n\t/g, ' ').split('\n');
    return joined
      .map((line) => line.replaceAll(/\s+/g, ' ').trim())
      .filter((line) => line !== '')
      .sort();
  }

  remove(): void {
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

/** A veth pair between two namespaces, up, with an address each. */
export function connect(
  a: { readonly at: Namespace; readonly device: string; readonly addresses: readonly string[] },
  b: { readonly at: Namespace; readonly device: string; readonly addresses: readonly string[] },
): void {
  a.at.sh(`ip link add ${a.device} type veth peer name ${b.device} netns ${b.at.path}`);
  for (const end of [a, b]) {
    // Without duplicate address detection: until it is over the kernel solicits no neighbour for a forwarded packet.
    end.at.sh(`echo 0 >/proc/sys/net/ipv6/conf/${end.device}/accept_dad; ip link set ${end.device} up`);
    for (const address of end.addresses) {
      end.at.sh(`ip addr add ${address} dev ${end.device}${address.includes(':') ? ' nodad' : ''}`);
    }
  }
}

/** Felix running in a namespace; methods are called by name. */
export class FelixProcess {
  readonly #child;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly ended: Promise<number | null>;
  #id = 0;
  #hasEnded = false;

  constructor(
    namespace: Namespace,
    settings: object = {},
    /** Environment besides the own, and a program with arguments to run it under. */
    run: { readonly env?: Readonly<Record<string, string>>; readonly wrapper?: readonly string[] } = {},
  ) {
    const script = fileURLToPath(new URL('./felix-process.ts', import.meta.url));
    const command = [...(run.wrapper ?? []), 'env', ...Object.entries(run.env ?? {}).map((pair) => pair.join('='))];
    this.#child = spawn('nsenter', [`--net=${namespace.path}`, ...command, process.execPath, script], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, FELIX_TEST_SETTINGS: JSON.stringify(settings) },
    });
    this.ended = new Promise((resolve) => this.#child.on('exit', (code) => resolve(code)));
    void this.ended.then(() => {
      this.#hasEnded = true;
      for (const { reject } of this.#waiting.values()) reject(new Error('felix process ended'));
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(line));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  call(method: string, ...args: readonly unknown[]): Promise<unknown> {
    this.#id += 1;
    const id = this.#id;
    if (this.#hasEnded) return Promise.reject(new Error('felix process ended'));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, method, args })}\n`);
    });
  }

  kill(): Promise<number | null> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }

  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    await this.call('stop').catch(() => undefined);
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.ended;
    clearTimeout(timer);
  }

  #answer(line: string): void {
    const { id, result, error } = JSON.parse(line) as {
      id: number;
      result?: unknown;
      error?: { message: string; code?: string };
    };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(Object.assign(new Error(error.message), { code: error.code }));
  }
}
