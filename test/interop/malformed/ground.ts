/**
 * Two namespaces for the malformed corpus: the speaker under test, and a raw driver that owns all other addresses of two
 * ranges (the local route makes the kernel answer for each of them).
 *
 *   subject 10.99.0.1/16, 10.98.0.1/16, 2001:db8:99::1 ── eth0 ═══ eth0 ── raw 10.99.0.0/16, 10.98.0.0/16, 2001:db8:99::fe
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, Namespace } from '../../support/namespaces.ts';
import { killChild } from '../two-routers.ts';
import { PLAN } from './bytes.ts';
import { RAW_DRIVER, RawDriver } from './raw-peer.ts';

export class Ground {
  readonly subject = new Namespace('subject');
  readonly raw = new Namespace('raw');
  readonly dir = mkdtempSync(join(tmpdir(), 'mxt-malformed-'));
  readonly driver: RawDriver;
  readonly #children: ChildProcess[] = [];

  constructor() {
    connect(
      {
        at: this.subject,
        device: 'eth0',
        addresses: [`${PLAN.subjectEbgp}/16`, `${PLAN.subjectIbgp}/16`, '2001:db8:99::1/64'],
      },
      { at: this.raw, device: 'eth0', addresses: ['10.99.255.254/16', '10.98.255.254/16', '2001:db8:99::fe/64'] },
    );
    this.raw.sh('ip route add local 10.99.2.0/23 dev lo; ip route add local 10.98.2.0/23 dev lo');
    this.raw.sh('ip route add local 10.99.4.0/22 dev lo; ip route add local 10.98.4.0/22 dev lo');
    this.driver = new RawDriver(this.spawn(this.raw, [process.execPath, RAW_DRIVER]));
  }

  /** The address of the n-th attempt. */
  address(n: number, kind: string): string {
    return `10.${kind === 'ibgp' ? 98 : 99}.${2 + Math.floor(n / 250)}.${1 + (n % 250)}`;
  }

  spawn(at: Namespace, command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=${at.path}`, ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stderr.resume();
    this.#children.push(child);
    return child;
  }

  async remove(): Promise<void> {
    for (const child of this.#children) await killChild(child);
    this.subject.remove();
    this.raw.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
