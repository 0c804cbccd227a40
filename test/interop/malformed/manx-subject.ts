/** Our own speaker under the corpus: one passive peer per attempt, and one that must never notice anything. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { PeerSpec } from '#bgp';
import { parseIp } from '#net';
import { SpeakerProcess, until } from '../two-routers.ts';
import { PLAN } from './bytes.ts';
import type { Row } from './corpus.ts';
import type { Ground } from './ground.ts';
import type { Subject } from './judge.ts';

const SCRIPT = fileURLToPath(new URL('../speaker-process.ts', import.meta.url));

function peerAt(address: string, kind: Row['session']): PeerSpec {
  return {
    name: address,
    address: parseIp(address),
    port: 179,
    as: kind === 'ibgp' ? PLAN.subjectAs : PLAN.ebgpAs,
    passive: true,
    holdTimeSec: 90,
    connectRetrySec: 5,
    families: [4, 6],
    nextHopSelf: { 6: parseIp('2001:db8:99::1') },
    gracefulRestart: false,
    import: { rules: [], default: 'accept' },
    export: { rules: [], default: 'reject' },
    label: 'configured',
  };
}

export class ManxSubject implements Subject {
  readonly name = 'Manx';
  readonly process: SpeakerProcess;
  #bystanders: readonly PeerSpec[] = [];

  constructor(ground: Ground) {
    const addresses = [parseIp(PLAN.subjectEbgp), parseIp(PLAN.subjectIbgp)];
    const setup = {
      config: {
        as: PLAN.subjectAs,
        routerId: parseIp(PLAN.subjectEbgp),
        listen: addresses.map((address) => ({ address, port: 179 })),
        gracefulRestart: { restartTimeSec: 30, restarting: false },
        addresses,
      },
      peers: [],
      originated: [],
    };
    const child = ground.spawn(ground.subject, [process.execPath, SCRIPT, JSON.stringify(setup)]);
    this.process = new SpeakerProcess(child);
  }

  get pid(): number {
    return this.process.child.pid ?? 0;
  }

  /** Peers that stay through all attempts. */
  async keep(address: string): Promise<void> {
    this.#bystanders = [...this.#bystanders, peerAt(address, 'ebgp')];
    await this.process.setPeers(this.#bystanders);
  }

  async admit(address: string, kind: Row['session']): Promise<void> {
    await this.process.setPeers([...this.#bystanders, peerAt(address, kind)]);
  }

  async routes(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (const { prefix, paths } of await this.process.routes()) {
      const best = paths.find((path) => path.best);
      if (best !== undefined) found.set(prefix, best.asPath);
    }
    return found;
  }

  alive(): boolean {
    const { exitCode, signalCode } = this.process.child;
    return exitCode === null && signalCode === null;
  }

  residentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
  }

  async listening(): Promise<void> {
    await until('our speaker listens', () => this.process.listening.then(() => true));
  }
}
