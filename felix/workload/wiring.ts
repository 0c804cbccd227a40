/**
 * Wiring and unwiring pods: plans run through the shell. Work on one interface is one after the other, in order of
 * arrival, so a DEL that overtakes its ADD cannot leave half a pod; different pods go in parallel.
 */
import { access } from 'node:fs/promises';
import { FelixError } from '../errors.ts';
import type { Workload } from '../inputs.ts';
import { parseIpJson } from '../iproute2/json.ts';
import { decodeLinks, deleteLinkLine } from '../iproute2/link.ts';
import type { Shell } from '../iproute2/shell.ts';
import { HOST_MAC } from '../ownership.ts';
import { faultsOf, readWiring, startFrom } from './inspect.ts';
import { isOurInterface, planPlug, type Start } from './plug.ts';
import { refusal, scriptFor } from './script.ts';

export class Wiring {
  readonly #shell: Shell;
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(shell: Shell) {
    this.#shell = shell;
  }

  /** Runs `work` after everything earlier on the same interface. */
  inOrder<T>(hostInterface: string, work: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(hostInterface) ?? Promise.resolve();
    const done = before.then(work, work);
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    this.#queues.set(hostInterface, settled);
    void settled.then(() => {
      if (this.#queues.get(hostInterface) === settled) this.#queues.delete(hostInterface);
    });
    return done;
  }

  /** Builds both ends; resolves with whether the host interface was made anew · throws FelixError. */
  async wire(workload: Workload, mtu: number): Promise<boolean> {
    await access(workload.netns).catch(() => {
      throw new FelixError('NETNS_MISSING', `pod network namespace ${workload.netns} does not exist`);
    });
    const first = await this.#attempt(workload, mtu, { from: 'nothing' });
    if (first === undefined) return true;
    if (!/File exists/.test(first.reason) || first.step !== 'veth pair') throw refused(workload, first);
    // Something of that name is there: an earlier ADD, whole or cut short, or not ours at all.
    const start = startFrom(await readWiring(this.#shell, workload), workload);
    const second = await this.#attempt(workload, mtu, start);
    if (second !== undefined) throw refused(workload, second);
    return start.from !== 'pair';
  }

  async #attempt(workload: Workload, mtu: number, start: Start) {
    const { text, parts } = scriptFor(planPlug(workload, mtu, start), workload.netns);
    const { code, stderr } = await this.#shell.run(text);
    return code === 0 ? undefined : refusal(stderr, parts);
  }

  /** Deletes the host end, and with it the pod's; absence is success. */
  async unwire(hostInterface: string): Promise<void> {
    const { code, stderr } = await this.#shell.run(`ip ${deleteLinkLine(hostInterface)}`);
    if (code === 0 || /Cannot find device|does not exist|No such device/.test(stderr)) return;
    throw new FelixError('KERNEL_REFUSED', `deleting ${hostInterface} failed: ${stderr.trim()}`);
  }

  /** Names of all host ends in this namespace: ours by name and by MAC, whoever remembers them or not. */
  async interfaces(prefix: string): Promise<readonly string[]> {
    const { code, stdout, stderr } = await this.#shell.run('ip -j -N link show');
    if (code !== 0) throw new FelixError('KERNEL_REFUSED', `listing interfaces failed: ${stderr.trim()}`);
    return decodeLinks(parseIpJson(stdout))
      .filter((link) => isOurInterface(link.name, prefix) && link.mac === HOST_MAC)
      .map((link) => link.name);
  }

  /** What is wrong with a wired pod. */
  async check(workload: Workload): Promise<readonly string[]> {
    try {
      await access(workload.netns);
    } catch {
      return [`pod network namespace ${workload.netns} does not exist`];
    }
    return faultsOf(await readWiring(this.#shell, workload), workload);
  }
}

function refused(workload: Workload, { step, reason }: { step: string; reason: string }): FelixError {
  const pod = workload.pod === undefined ? '' : ` of pod ${workload.pod.namespace}/${workload.pod.name}`;
  return new FelixError('KERNEL_REFUSED', `wiring ${workload.hostInterface}${pod} failed at step "${step}": ${reason}`);
}
