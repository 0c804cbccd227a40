/**
 * One daemon and our speaker on one cable, for one story of the matrix. A tap writes down every BGP message in words
 * (tcpdump), a raw peer can join from the daemon's side, and all that the processes print is kept.
 *
 *   daemon 192.0.2.1, 2001:db8:0:1::1 ── eth0 ═══ eth0 ── manx 192.0.2.2, 2001:db8:0:1::2
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PeerSpec } from '#bgp';
import { parseIp } from '#net';
import { connect, Namespace } from '../../support/namespaces.ts';
import { RAW_DRIVER, RawDriver } from '../malformed/raw-peer.ts';
import type { Daemon, DaemonSetup, Instance, Neighbor } from '../peers/daemon.ts';
import { BIRD4, BIRD6, killChild, manxSetup, SpeakerProcess, until } from '../two-routers.ts';

export const MANX4 = parseIp('192.0.2.2');
const MANX6 = parseIp('2001:db8:0:1::2');
/** Another address of the daemon's. */
export const LOOPBACK6 = '2001:db8:ffff::1';
export const THEIRS4 = ['10.1.0.0/24', '10.1.1.0/24'];
export const THEIRS6 = ['2001:db8:1::/48'];
export const THEIRS = [...THEIRS4, ...THEIRS6];
export const OURS4 = ['10.2.0.0/26'];
const OURS6 = ['2001:db8:2::/64'];
export const OURS = [...OURS4, ...OURS6];
export const RAW = '192.0.2.9';

const SCRIPT = fileURLToPath(new URL('../speaker-process.ts', import.meta.url));

export interface Wishes {
  readonly theirAs?: number;
  readonly ourAs?: number;
  readonly over6?: boolean;
  readonly gracefulRestart?: boolean;
  readonly holdTimeSec?: number;
  readonly theyArePassive?: boolean;
  readonly peer?: Partial<PeerSpec>;
  readonly routes4?: readonly string[];
  readonly tagged?: boolean;
}

export class Lab {
  readonly name: string;
  readonly there = new Namespace('peer');
  readonly here = new Namespace('manx');
  readonly dir = mkdtempSync(join(tmpdir(), 'mxt-matrix-'));
  readonly daemon: Instance;
  readonly wishes: Wishes;
  /** What the daemon printed. */
  printed = '';
  #tapped = '';
  readonly #children: ChildProcess[] = [];

  constructor(daemon: Daemon, wishes: Wishes) {
    this.name = daemon.name;
    this.wishes = wishes;
    connect(
      { at: this.there, device: 'eth0', addresses: [`${BIRD4}/24`, `${RAW}/24`, `${BIRD6}/64`] },
      { at: this.here, device: 'eth0', addresses: [`${MANX4}/24`, `${MANX6}/64`] },
    );
    // OpenBGPD takes its IPv6 next hop on an IPv4 session from here, and ::1 where there is none better.
    this.there.sh(`ip addr add ${LOOPBACK6}/128 dev lo`);
    this.daemon = daemon.create({
      namespace: this.there,
      dir: this.dir,
      spawn: (at, command) => this.#spawn(at, command),
    });
  }

  /** Daemon and speaker up, session Established on both sides. */
  async start(): Promise<SpeakerProcess> {
    await this.daemon.start(this.daemonSetup());
    const speaker = this.startSpeaker();
    await this.established(speaker);
    return speaker;
  }

  async established(speaker: SpeakerProcess): Promise<void> {
    await until(
      `${this.name} and we are established`,
      async () => (await speaker.peers())[0]?.state === 'established' && this.daemon.established(),
      40_000,
    );
  }

  daemonSetup(): DaemonSetup {
    const { theirAs = 65_001, ourAs = 65_002, over6 = false, tagged = false } = this.wishes;
    const neighbor: Neighbor = {
      address: over6 ? MANX6 : MANX4,
      localAddress: over6 ? BIRD6 : BIRD4,
      as: ourAs,
      passive: this.wishes.theyArePassive ?? false,
      holdTimeSec: this.wishes.holdTimeSec ?? 90,
      gracefulRestart: this.wishes.gracefulRestart ?? false,
      ...(over6 ? { nextHop4: BIRD4 } : {}),
    };
    return {
      as: theirAs,
      routerId: BIRD4,
      neighbors: [neighbor],
      routes4: this.wishes.routes4 ?? THEIRS4,
      routes6: THEIRS6,
      tagged,
    };
  }

  startSpeaker(more: { readonly restarting?: boolean; readonly extra?: readonly PeerSpec[] } = {}): SpeakerProcess {
    const setup = manxSetup(this.wishes.ourAs ?? 65_002, this.#ourPeer(), {
      originated: OURS,
      over6: this.wishes.over6 ?? false,
      restarting: more.restarting ?? false,
    });
    const peers = [...setup.peers, ...(more.extra ?? [])];
    const child = this.#spawn(this.here, [process.execPath, SCRIPT, JSON.stringify({ ...setup, peers })]);
    return new SpeakerProcess(child);
  }

  /** Our peers as started, for setPeers. */
  ourPeers(): readonly PeerSpec[] {
    return manxSetup(this.wishes.ourAs ?? 65_002, this.#ourPeer(), { over6: this.wishes.over6 ?? false }).peers;
  }

  /** A peer of ours that is no program but bytes: AS 65003 at 192.0.2.9. */
  rawPeer(): { readonly spec: PeerSpec; readonly driver: RawDriver } {
    const [spec] = manxSetup(65_002, {
      as: 65_003,
      name: 'raw',
      address: parseIp(RAW),
      passive: true,
      gracefulRestart: false,
    }).peers;
    if (spec === undefined) throw new Error('no peer');
    return { spec, driver: new RawDriver(this.#spawn(this.there, [process.execPath, RAW_DRIVER])) };
  }

  /** Starts to write down BGP messages; resolves when the tap listens. */
  async tap(): Promise<void> {
    const child = this.#spawn(this.here, [
      'tcpdump',
      '-i',
      'eth0',
      '-n',
      '-l',
      '-v',
      '--immediate-mode',
      '-Z',
      'root',
      'tcp port 179',
    ]);
    child.stdout?.on('data', (chunk: Buffer) => (this.#tapped += chunk.toString()));
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('tcpdump listens', () => said.includes('listening on'));
  }

  /** Packets seen, each with its sender and what tcpdump says of it. */
  packets(): readonly { readonly from: string; readonly text: string }[] {
    return this.#tapped
      .split(/^\d\d:\d\d:\d\d/m)
      .map((text) => ({ from: / (\S+)\.\d+ > /.exec(text)?.[1] ?? '', text }));
  }

  /** All the daemon has written anywhere. */
  diary(): string {
    const files = ['bird.log', 'frr/frr.log'].map((file) => {
      try {
        return readFileSync(join(this.dir, file), 'utf8');
      } catch {
        return '';
      }
    });
    return this.printed + files.join('');
  }

  async remove(): Promise<void> {
    await this.daemon.kill().catch(() => undefined);
    for (const child of this.#children) await killChild(child);
    this.there.remove();
    this.here.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #ourPeer(): Partial<PeerSpec> & { readonly as: number } {
    return {
      as: this.wishes.theirAs ?? 65_001,
      name: 'peer',
      gracefulRestart: this.wishes.gracefulRestart ?? false,
      holdTimeSec: this.wishes.holdTimeSec ?? 90,
      ...this.wishes.peer,
    };
  }

  #spawn(at: Namespace, command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=${at.path}`, ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
    const isOurs = command[0] === process.execPath || command[0] === 'tcpdump';
    const note = (chunk: Buffer): void => {
      this.printed += chunk.toString();
    };
    child.stderr.on('data', note);
    if (!isOurs) child.stdout.on('data', note);
    this.#children.push(child);
    return child;
  }
}
