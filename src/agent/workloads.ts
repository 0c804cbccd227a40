// The pods wired on this node, one JSON file each in the state folder, and the same in memory.
//
// A record is written while the pod is wired, before ADD is answered, and removed when DEL has undone everything: what the
// runtime believes to exist has a record. One whose interface is missing, of an ADD cut short, waits for the runtime's DEL.
// Records that cannot be read are left alone and make the table incomplete, so that Felix removes nothing on their account.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workload, WorkloadKey } from '#felix';
import { tryParseIp } from '#net';
import { removeDurably, removeInterrupted, writeDurably } from './files.ts';
import type { Tools } from './tools.ts';

/** The name of a pod interface in IPAM: its handle. */
export function handleOf({ containerId, ifname }: WorkloadKey): string {
  return `${containerId}.${ifname}`;
}

export interface Workloads {
  all(): readonly Workload[];
  get(key: WorkloadKey): Workload | undefined;
  /** False when a record could not be read: absence then means nothing. */
  readonly complete: boolean;
  /** Writes the record while `wired` is under way; the table has it when both are done. Rejects with what failed. */
  put(workload: Workload, wired?: Promise<void>): Promise<void>;
  remove(key: WorkloadKey): Promise<void>;
}

const recordVersion = 1;

/** Reads the records of an earlier run. Rejects when the folder cannot be made or listed. */
export async function openWorkloads({ log, changed }: Tools, folder: string): Promise<Workloads> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeInterrupted(folder, '');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const table = new Map<string, Workload>();
  let complete = true;
  for (const name of names) {
    const workload = parseRecord(await readFile(join(folder, name), 'utf8'));
    if (workload === undefined) {
      complete = false;
      log.error('workload record cannot be read; its pod keeps what it has, remove the file once the pod is gone', {
        file: join(folder, name),
      });
    } else {
      table.set(handleOf(workload), workload);
    }
  }
  return {
    complete,
    all: () => [...table.values()],
    get: (key) => table.get(handleOf(key)),
    async put(workload, wired) {
      const written = writeDurably(join(folder, fileName(workload)), formatRecord(workload), 0o600);
      // Both to their ends, whatever becomes of either: nothing is under way when a failure is dealt with.
      const outcomes = await Promise.allSettled([wired, written]);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      table.set(handleOf(workload), workload);
      changed();
    },
    async remove(key) {
      await removeDurably(join(folder, fileName(key)));
      if (table.delete(handleOf(key))) changed();
    },
  };
}

/** Readable where it fits into a file name (255 bytes), a hash where it does not. */
function fileName(key: WorkloadKey): string {
  const handle = handleOf(key);
  return `${handle.length <= 200 ? handle : createHash('sha256').update(handle).digest('hex')}.json`;
}

export function formatRecord(workload: Workload): string {
  return `${JSON.stringify({ version: recordVersion, workload }, undefined, 1)}\n`;
}

/** Undefined for anything that is not a whole record. */
export function parseRecord(text: string): Workload | undefined {
  let raw: { version?: unknown; workload?: Partial<Record<keyof Workload, unknown>> };
  try {
    raw = JSON.parse(text) as typeof raw;
  } catch {
    return undefined;
  }
  const workload = raw?.workload;
  if (raw?.version !== recordVersion || typeof workload !== 'object' || workload === null) return undefined;
  const { containerId, ifname, netns, hostInterface, addresses } = workload;
  const named = [containerId, ifname, netns, hostInterface].every((value) => typeof value === 'string' && value !== '');
  if (!named || !Array.isArray(addresses)) return undefined;
  const known = addresses.every((address) => typeof address === 'string' && tryParseIp(address) === address);
  return known ? (workload as Workload) : undefined;
}
