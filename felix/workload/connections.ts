/**
 * Connections the kernel still tracks for an address whose pod is gone (nf_conntrack): the next pod with that address must
 * not inherit their NAT. Deleted by conntrack(8), by original source, original destination and, behind a service, reply
 * source. A node that tracks nothing pays nothing; one without the tool says so in its status and deletes pods all the same.
 */
import { readFile } from 'node:fs/promises';
import { familyOf, type Ip } from '#net';
import type { Shell } from '../iproute2/shell.ts';

const filters = ['--src', '--dst', '--reply-src'];

export class Connections {
  readonly #shell: Shell;
  readonly #countFile: string;
  /** Why they cannot be deleted here, once it was found out. */
  fault: string | undefined;

  /** `countFile` holds how many connections this namespace tracks; it is absent where the kernel tracks none. */
  constructor(shell: Shell, countFile = '/proc/sys/net/netfilter/nf_conntrack_count') {
    this.#shell = shell;
    this.#countFile = countFile;
  }

  /** Deletes the tracked connections of these addresses; never rejects. */
  async forget(addresses: readonly Ip[]): Promise<void> {
    const tracked = Number(await readFile(this.#countFile, 'utf8').catch(() => '0'));
    if (tracked === 0 || addresses.length === 0) return;
    const commands = addresses.flatMap((ip) =>
      filters.map((filter) => `conntrack -D -f ipv${familyOf(ip)} ${filter} ${ip} >/dev/null`),
    );
    // conntrack ends with 1 where there were none: no failure.
    const script = `if command -v conntrack >/dev/null; then\n${commands.join('\n')}\ntrue\nelse (exit 127); fi`;
    const done = await this.#shell.run(script).catch(() => undefined);
    if (done?.code === 127)
      this.fault = 'conntrack is not installed: connections of deleted pods are tracked until they time out';
    else if (done?.code === 0) this.fault = undefined;
  }
}
