/**
 * Wiring and unwiring pods: plans run through the shell. Work on one interface is one after the other, in order of
 * arrival, so a DEL that overtakes its ADD cannot leave half a pod; different pods go in parallel.
 */
import { access } from 'node:fs/promises';
import { FelixError } from '../errors.ts';
import type { Workload } from '../inputs.ts';
import { parseIpJson } from '../iproute2/json.ts';
import type { Batch } from '../iproute2/batch.ts';
import { decodeLinks } from '../iproute2/link.ts';
import type { Shell } from '../iproute2/shell.ts';
import { HOST_MAC } from '../ownership.ts';
import { faultsOf, readWiring, startFrom } from './inspect.ts';
import {
  isOurInterface,
  type Place,
  planHostAddresses,
  planPair,
  planPlug,
  planPodEnd,
  type Start,
  type Step,
} from './plug.ts';
import { refusal, scriptFor } from './script.ts';
import { Unwiring } from './unwiring.ts';

export class Wiring {
  readonly #shell: Shell;
  readonly #batch: Batch;
  readonly #unwiring: Unwiring;
  readonly #queues = new Map<string, Promise<unknown>>();
  /** Pairs made ahead by `prepare` and not yet wired: host interface → what they were made for. */
  readonly #prepared = new Map<string, string>();

  constructor(shell: Shell, batch: Batch) {
    this.#shell = shell;
    this.#batch = batch;
    this.#unwiring = new Unwiring(shell);
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

  /**
   * Makes the pair while its addresses are still being found, for `wire` to go on from; never rejects. What cannot be done
   * here (an earlier pair, somebody else's interface, no such namespace) is found out again and dealt with by `wire`.
   */
  async prepare(place: Place, mtu: number): Promise<void> {
    const refused = await this.#run(planPair(place, mtu), place.netns).catch(() => 'shell lost');
    if (refused === undefined) this.#prepared.set(place.hostInterface, purposeOf(place, mtu));
  }

  /** Builds both ends; resolves with whether the host interface was made anew · throws FelixError. */
  async wire(workload: Workload, mtu: number): Promise<boolean> {
    const purpose = this.#prepared.get(workload.hostInterface);
    this.#prepared.delete(workload.hostInterface);
    if (purpose === purposeOf(workload, mtu) && (await this.#finish(workload))) return true;
    const first = await this.#attempt(workload, mtu, { from: 'nothing' });
    if (first === undefined) return true;
    if (!(await isThere(workload.netns))) {
      throw new FelixError('NETNS_MISSING', `pod network namespace ${workload.netns} does not exist`);
    }
    if (!/File exists/.test(first.reason) || first.step !== 'veth pair') throw refused(workload, first);
    // Something of that name is there: an earlier ADD, whole or cut short, or not ours at all.
    const start = startFrom(await readWiring(this.#shell, workload), workload);
    const second = await this.#attempt(workload, mtu, start);
    if (second !== undefined) throw refused(workload, second);
    return start.from !== 'pair' || purpose !== undefined;
  }

  /** Both ends of a prepared pair at the same time; false when something was refused and all must be looked at. */
  async #finish(workload: Workload): Promise<boolean> {
    // A name used before means another interface now.
    this.#batch.forget(workload.hostInterface);
    const [pod, host] = await Promise.all([
      this.#run(planPodEnd(workload, { from: 'nothing' }), workload.netns, true),
      this.#batch.submit(planHostAddresses(workload)),
    ]);
    return pod === undefined && host.size === 0;
  }

  async #attempt(workload: Workload, mtu: number, start: Start) {
    const failed = await this.#run(planPlug(workload, mtu, start), workload.netns);
    if (failed === undefined && start.from !== 'pair') this.#batch.forget(workload.hostInterface);
    return failed;
  }

  /** What was refused, undefined when every step was done. */
  async #run(steps: readonly Step[], netns: string, hurried = false) {
    const { text, parts } = scriptFor(steps, netns, hurried);
    const { code, stderr } = await this.#shell.run(text);
    return code === 0 ? undefined : refusal(stderr, parts);
  }

  /** Deletes the host end, and with it the pod's; absence is success. */
  async unwire(hostInterface: string): Promise<void> {
    this.#prepared.delete(hostInterface);
    await this.#unwiring.remove(hostInterface);
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
    if (!(await isThere(workload.netns))) return [`pod network namespace ${workload.netns} does not exist`];
    return faultsOf(await readWiring(this.#shell, workload), workload);
  }
}

function purposeOf({ ifname, netns }: Place, mtu: number): string {
  return `${ifname} ${netns} ${mtu}`;
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

function refused(workload: Workload, { step, reason }: { step: string; reason: string }): FelixError {
  const pod = workload.pod === undefined ? '' : ` of pod ${workload.pod.namespace}/${workload.pod.name}`;
  return new FelixError('KERNEL_REFUSED', `wiring ${workload.hostInterface}${pod} failed at step "${step}": ${reason}`);
}
