/** A real daemon under the corpus: it takes sessions from both ranges of the plan. */
import type { Daemon, DaemonSetup, Instance } from '../peers/daemon.ts';
import { PLAN } from './bytes.ts';
import type { Ground } from './ground.ts';
import type { Subject } from './judge.ts';

const range = { passive: true, holdTimeSec: 90, gracefulRestart: false };
const SETUP: DaemonSetup = {
  as: PLAN.subjectAs,
  routerId: PLAN.subjectEbgp,
  neighbors: [
    { ...range, address: '10.99.0.0/16', localAddress: PLAN.subjectEbgp, as: PLAN.ebgpAs },
    { ...range, address: '10.98.0.0/16', localAddress: PLAN.subjectIbgp, as: PLAN.subjectAs },
  ],
  routes4: [],
  routes6: [],
  tagged: false,
};

export class DaemonSubject implements Subject {
  readonly name: string;
  readonly instance: Instance;

  constructor(daemon: Daemon, ground: Ground) {
    this.name = daemon.name;
    const spawn = ground.spawn.bind(ground);
    this.instance = daemon.create({ namespace: ground.subject, dir: ground.dir, spawn });
  }

  /** Starts it, again after a crash. */
  async start(): Promise<void> {
    await this.instance.start(SETUP);
  }

  admit(): Promise<void> {
    return Promise.resolve();
  }

  routes(): Promise<ReadonlyMap<string, string>> {
    return this.instance.routes();
  }

  alive(): boolean {
    return this.instance.alive();
  }
}
