/**
 * Two namespaces on one cable: a real BIRD 2 in the first, our speaker as a process of its own in the second.
 *
 *   bird 192.0.2.1, 2001:db8:0:1::1 ── eth0 ═══ eth0 ── manx 192.0.2.2, 2001:db8:0:1::2
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PeerSpec, PeerStatus, ResetKind, RouteView } from '#bgp';
import { parseIp } from '#net';
import { connect, Namespace } from '../support/namespaces.ts';
import type { SpeakerRequest, SpeakerSetup } from './speaker-process.ts';

export const BIRD4 = parseIp('192.0.2.1');
export const BIRD6 = parseIp('2001:db8:0:1::1');
const MANX4 = parseIp('192.0.2.2');
const MANX6 = parseIp('2001:db8:0:1::2');

const SCRIPT = fileURLToPath(new URL('./speaker-process.ts', import.meta.url));
const FAST = 'connect delay time 1; connect retry time 1; error wait time 1,2;';

/** Polls until the check gives something true; fails with the last thing seen. */
export async function until<T>(what: string, check: () => Promise<T | undefined | false> | T, ms = 15_000): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await pause(50);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** What a test says about BIRD's session; the rest is the same for all. */
export interface BirdSetup {
  readonly as: number;
  readonly peerAs: number;
  /** Lines inside the bgp protocol. */
  readonly options?: string;
  readonly routes4?: readonly string[];
  readonly routes6?: readonly string[];
  /** The session runs over IPv6. */
  readonly over6?: boolean;
}

function birdConfig(dir: string, setup: BirdSetup): string {
  const [own, peer] = setup.over6 ? [BIRD6, MANX6] : [BIRD4, MANX4];
  const routes = (list: readonly string[] = []): string => list.map((prefix) => `route ${prefix} blackhole;`).join(' ');
  const nextHop4 = setup.over6 ? `next hop address ${BIRD4};` : '';
  return `log "${dir}/bird.log" all;
router id ${BIRD4};
protocol device { }
protocol static s4 { ipv4; ${routes(setup.routes4)} }
protocol static s6 { ipv6; ${routes(setup.routes6)} }
protocol bgp manx {
  local ${own} as ${setup.as};
  neighbor ${peer} as ${setup.peerAs};
  ${FAST}
  ${setup.options ?? ''}
  ipv4 { import all; export where source = RTS_STATIC; ${nextHop4} };
  ipv6 { import all; export where source = RTS_STATIC; };
}
`;
}

export class TwoRouters {
  readonly bird = new Namespace('bird');
  readonly manx = new Namespace('manx');
  readonly dir = mkdtempSync(join(tmpdir(), 'mxt-bird-'));
  readonly #children: ChildProcess[] = [];

  constructor() {
    for (const at of [this.bird, this.manx]) at.sh('echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad');
    connect(
      { at: this.bird, device: 'eth0', addresses: [`${BIRD4}/24`, `${BIRD6}/64`] },
      { at: this.manx, device: 'eth0', addresses: [`${MANX4}/24`, `${MANX6}/64`] },
    );
  }

  /** Starts BIRD; `-R` makes it recover from a restart. Resolves when its control socket answers. */
  async startBird(setup: BirdSetup, flags: readonly string[] = []): Promise<ChildProcess> {
    writeFileSync(join(this.dir, 'bird.conf'), birdConfig(this.dir, setup));
    const files = ['-f', '-c', `${this.dir}/bird.conf`, '-s', `${this.dir}/bird.ctl`, '-P', `${this.dir}/bird.pid`];
    const child = this.#spawn(this.bird, ['bird', ...files, ...flags]);
    await until('bird answers', () => this.birdc('show status').includes('Daemon is up'));
    return child;
  }

  /** Changes BIRD's configuration while it runs. */
  configure(change: (text: string) => string): void {
    const file = join(this.dir, 'bird.conf');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    this.birdc('configure');
  }

  birdc(...command: readonly string[]): string {
    const { stdout } = spawnSync('birdc', ['-s', `${this.dir}/bird.ctl`, ...command], { encoding: 'utf8' });
    return stdout;
  }

  async birdEstablished(): Promise<void> {
    await until('bird is Established', () => /^manx .*Established/m.test(this.birdc('show protocols')));
  }

  /** Prefixes BIRD has from us. */
  birdRoutes(): ReadonlySet<string> {
    const rows = this.birdc('show', 'route', 'protocol', 'manx').matchAll(/^(\S+)\s+unicast \[manx/gm);
    return new Set([...rows].map((row) => row[1] ?? ''));
  }

  /** BIRD holds our routes over our restart: from the loss of the connection to End-of-RIB. */
  birdHelps(): boolean {
    return this.birdc('show', 'protocols', 'all', 'manx').includes('Neighbor graceful restart active');
  }

  startSpeaker(setup: SpeakerSetup): SpeakerProcess {
    return new SpeakerProcess(this.#spawn(this.manx, [process.execPath, SCRIPT, JSON.stringify(setup)]));
  }

  async remove(): Promise<void> {
    for (const child of this.#children) await killChild(child);
    this.bird.remove();
    this.manx.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #spawn(at: Namespace, command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=${at.path}`, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }
}

export async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  child.kill('SIGKILL'); // nsenter has become the program: this is its pid
  await promise;
}

export interface BestView {
  readonly inSync: boolean;
  readonly routes: Readonly<Record<string, readonly string[]>>;
}

/** Our speaker in its own process. */
export class SpeakerProcess {
  readonly child: ChildProcess;
  /** Prefixes whose last next hop was reported gone, in order. */
  readonly lost: string[] = [];
  readonly log: string[] = [];
  readonly listening: Promise<void>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #id = 0;

  constructor(child: ChildProcess) {
    this.child = child;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.listening = promise;
    if (child.stdout === null) throw new Error('the speaker process has no stdout');
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the speaker process ended'));
    });
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Record<string, unknown>;
      if (typeof line['id'] === 'number') this.#waiting.get(line['id'])?.resolve(line['answer']);
      if (line['event'] === 'listening') resolve();
      if (line['event'] === 'log') this.log.push(text);
      if (line['event'] === 'best')
        this.#noteLost(line['changes'] as readonly { prefix: string; nextHops: string[] }[]);
    });
  }

  peers(): Promise<readonly PeerStatus[]> {
    return this.#ask('peers') as Promise<readonly PeerStatus[]>;
  }

  async peer(): Promise<PeerStatus> {
    const [status] = await this.peers();
    if (status === undefined) throw new Error('the speaker has no peer');
    return status;
  }

  routes(): Promise<readonly RouteView[]> {
    return this.#ask('routes') as Promise<readonly RouteView[]>;
  }

  best(): Promise<BestView> {
    return this.#ask('best') as Promise<BestView>;
  }

  async setPeers(peers: readonly PeerSpec[]): Promise<void> {
    await this.#ask('setPeers', peers);
  }

  async originate(prefixes: readonly string[]): Promise<void> {
    await this.#ask(
      'setOriginated',
      prefixes.map((prefix) => ({ prefix })),
    );
  }

  async reset(peer: string, kind: ResetKind): Promise<void> {
    await this.#ask('reset', { peer, kind });
  }

  async stop(mode: 'restart' | 'shutdown'): Promise<void> {
    await this.#ask('stop', mode);
  }

  async established(): Promise<PeerStatus> {
    return until('our session is established', async () => {
      const status = await this.peer();
      return status.state === 'established' && status;
    });
  }

  /** Until exactly these prefixes are best. */
  async holds(prefixes: readonly string[]): Promise<BestView> {
    let seen = '';
    const wanted = [...prefixes].sort().join(' ');
    return until(`we hold ${wanted}`, async () => {
      const best = await this.best();
      seen = Object.keys(best.routes).sort().join(' ');
      return seen === wanted && best;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last seen: ${seen}`);
    });
  }

  kill(): Promise<void> {
    return killChild(this.child);
  }

  #noteLost(changes: readonly { prefix: string; nextHops: string[] }[]): void {
    for (const { prefix, nextHops } of changes) if (nextHops.length === 0) this.lost.push(prefix);
  }

  #ask(ask: SpeakerRequest['ask'], value?: unknown): Promise<unknown> {
    this.#id += 1;
    const id = this.#id;
    const answer = Promise.withResolvers<unknown>();
    if (this.child.exitCode !== null || this.child.signalCode !== null)
      return Promise.reject(new Error('the speaker process ended'));
    this.#waiting.set(id, answer);
    void answer.promise.finally(() => this.#waiting.delete(id)).catch(() => undefined);
    this.child.stdin?.write(`${JSON.stringify({ id, ask, value })}\n`);
    return answer.promise;
  }
}

/** Our side of the session. */
export function manxSetup(
  as: number,
  peer: Partial<PeerSpec> & { readonly as: number },
  more: { readonly originated?: readonly string[]; readonly restarting?: boolean; readonly over6?: boolean } = {},
): SpeakerSetup {
  return {
    config: {
      as,
      routerId: MANX4,
      listen: [{ address: more.over6 ? MANX6 : MANX4, port: 179 }],
      gracefulRestart: { restartTimeSec: 30, restarting: more.restarting ?? false },
      addresses: [MANX4, MANX6],
    },
    peers: [
      {
        name: 'bird',
        address: more.over6 ? BIRD6 : BIRD4,
        port: 179,
        passive: false,
        holdTimeSec: 90,
        connectRetrySec: 2,
        families: [4, 6],
        nextHopSelf: { 4: MANX4, 6: MANX6 },
        gracefulRestart: true,
        import: { rules: [], default: 'accept' },
        export: { rules: [], default: 'accept' },
        label: 'configured',
        ...peer,
      },
    ],
    ...(more.originated === undefined
      ? {}
      : { originated: more.originated.map((prefix) => ({ prefix })) as SpeakerSetup['originated'] & object }),
  };
}
