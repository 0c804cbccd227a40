// The last good configuration, kept on the node: what an agent serves from when it starts while the API server is away.
//
// Written only from state that was complete (every kind listed, blocks read back), so that it never describes half a
// cluster. One file, 0600, with a checksum: a torn or foreign file is ignored and made anew, never believed in part.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Prefix } from '#net';
import type { Log } from '#observe';
import type { ClusterView } from './cluster-view.ts';
import { readIfPresent, writeDurably } from './files.ts';

export interface Snapshot {
  readonly view: ClusterView;
  /** Blocks confirmed for this node. */
  readonly blocks: readonly Prefix[];
}

const fileVersion = 2;
const fileName = 'last-good.json';

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function formatSnapshot(snapshot: Snapshot): string {
  const content = JSON.stringify(snapshot);
  return `${JSON.stringify({ version: fileVersion, sha256: checksum(content), content })}\n`;
}

/** Undefined unless the text is whole, of this version and unchanged since it was written. */
export function parseSnapshot(text: string): Snapshot | undefined {
  try {
    const file = JSON.parse(text) as { version?: unknown; sha256?: unknown; content?: unknown };
    const { version, sha256, content } = file;
    if (version !== fileVersion || typeof content !== 'string' || checksum(content) !== sha256) return undefined;
    // What passes the checksum was written by formatSnapshot of this version.
    return JSON.parse(content) as Snapshot;
  } catch {
    return undefined;
  }
}

export interface SnapshotFile {
  /** What an earlier run knew; undefined when there is nothing to believe. */
  readonly last: Snapshot | undefined;
  /** Writes if it differs from what was written or read last. */
  write(snapshot: Snapshot): Promise<void>;
}

export async function openSnapshotFile(folder: string, log: Log): Promise<SnapshotFile> {
  const path = join(folder, fileName);
  let text = await readIfPresent(path);
  const last = text === undefined ? undefined : parseSnapshot(text);
  if (text !== undefined && last === undefined)
    log.warn('the last good configuration cannot be read and is not used', { file: path });
  return {
    last,
    async write(snapshot) {
      const next = formatSnapshot(snapshot);
      if (next === text) return;
      await writeDurably(path, next, 0o600);
      text = next;
    },
  };
}
