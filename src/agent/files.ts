// Files that others read while we write, or that must survive a crash: written beside, synced, renamed into place.
//
// Invariant: a reader sees the old content or the new, never half; after `writeDurably` returns, the new one survives a
// power cut. What is left of an interrupted write is a `.tmp` file, which nobody reads and the next start removes.
import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Replaces `path`. Rejects with the file system's error (ENOSPC, EROFS…), leaving the old content. */
export async function writeDurably(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Removes what writes of an earlier run left behind in a folder, of files whose names begin with `prefix`. */
export async function removeInterrupted(folder: string, prefix: string): Promise<void> {
  const left = (await readdir(folder)).filter((name) => name.startsWith(prefix) && /\.[0-9a-f]{8}\.tmp$/.test(name));
  for (const name of left) await rm(join(folder, name), { force: true });
}

/** Removes a file for good; absence is success. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The text of a file, undefined when there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
