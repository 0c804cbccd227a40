/**
 * Removing host ends, and with them the pods' ends, many at a time. The kernel waits for two grace periods for each
 * unregistered interface (20 ms and more), but only once for all that are removed in one request: so the interfaces asked
 * for while a removal runs form a group (`ip link set group`, `ip link del group`) and go together.
 */
import { FelixError } from '../errors.ts';
import { deleteLinkLine } from '../iproute2/link.ts';
import { deviceName } from '../iproute2/route.ts';
import type { Shell } from '../iproute2/shell.ts';
import { quote } from '../iproute2/shell.ts';

interface Removal {
  readonly name: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Interface group of what is about to be removed; nothing is in it at other times. */
const GROUP = 840_084;
const absent = /Cannot find device|does not exist|No such device/;

export class Unwiring {
  readonly #shell: Shell;
  #waiting: Removal[] = [];
  #running = 0;

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  /** Resolves when the interface is gone; absence is success · throws FelixError KERNEL_REFUSED, CHILD_LOST. */
  remove(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#running > 0 || this.#waiting.length === 0) return;
    const removals = this.#waiting.splice(0);
    this.#running += 1;
    void this.#removeAll(removals).finally(() => {
      this.#running -= 1;
      this.#next();
    });
  }

  async #removeAll(removals: readonly Removal[]): Promise<void> {
    try {
      const [only] = removals;
      const names = removals.map((removal) => removal.name);
      const faults =
        removals.length === 1 && only !== undefined ? await this.#one(only.name) : await this.#group(names);
      for (const { name, resolve, reject } of removals) {
        const fault = faults.get(name);
        if (fault === undefined) resolve();
        else reject(new FelixError('KERNEL_REFUSED', `deleting ${name} failed: ${fault}`));
      }
    } catch (error) {
      for (const { reject } of removals) reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #one(name: string): Promise<ReadonlyMap<string, string>> {
    const { code, stderr } = await this.#shell.run(`ip ${deleteLinkLine(name)}`);
    return code === 0 || absent.test(stderr) ? new Map() : new Map([[name, stderr.trim()]]);
  }

  /** Where the group is refused as a whole, each goes alone. */
  async #group(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const lines = names.map((name) => `link set dev ${deviceName(name)} group ${GROUP}`);
    // Some may be gone already: `-force` goes on. The group is empty when all are, which `ip` reports as no error.
    const batch = `printf '%s\\n' ${quote(lines.join('\n'))} | ip -force -batch - ; ip link del group ${GROUP}`;
    const { code, stderr } = await this.#shell.run(batch);
    const others = stderr
      .split('\n')
      .filter((line) => line !== '' && !absent.test(line) && !line.startsWith('Command failed'));
    if (code === 0 && others.length === 0) return new Map();
    const faults = new Map<string, string>();
    for (const name of names) for (const [each, fault] of await this.#one(name)) faults.set(each, fault);
    return faults;
  }
}
