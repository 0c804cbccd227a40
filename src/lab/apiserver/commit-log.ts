/**
 * The write-ahead log of the store: JSON lines with a CRC, appended and fsynced in groups, so that every acknowledged
 * write survives `kill -9` and a power cut, and a thousand writers share one disk flush (group commit). Files in the
 * data directory: `snapshot-<revision>.jsonl` (whole state) and `log-<revision>.jsonl` (changes after that revision).
 * Invariant: a promise returned by `append` resolves only after fdatasync; a torn last line (a crash in the middle of
 * a write) is dropped, a broken line anywhere else refuses the start, because it means lost data.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** One durable change: the object's JSON text, or its removal (with the last state, for watches). */
export interface LogRecord {
  readonly revision: number;
  readonly change: 'put' | 'remove';
  /** Storage name of the resource: `group/plural`. */
  readonly resource: string;
  readonly key: string;
  readonly json: string;
}

export interface CommitLogOptions {
  readonly directory: string;
  /** Bytes of log after which a snapshot is taken. */
  readonly compactAfterBytes: number;
  /** The state to snapshot, called synchronously between two group commits. */
  readonly capture: () => { readonly revision: number; readonly records: Iterable<LogRecord> };
  /** The disk failed: memory and disk differ, the process must end. */
  readonly onFailure: (error: Error) => void;
}

export class DataDirectoryError extends Error {
  readonly code = 'DATA_DIRECTORY';
}

interface Pending {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class CommitLog {
  readonly #options: CommitLogOptions;
  #file: FileHandle | undefined;
  #bytes = 0;
  #queue: Pending[] = [];
  #running: Promise<void> | undefined;
  #rotateWanted = false;
  #snapshot: Promise<void> = Promise.resolve();
  #failed: Error | undefined;

  constructor(options: CommitLogOptions) {
    this.#options = options;
  }

  /** Replays snapshot and logs in revision order into `apply`; throws DataDirectoryError when data is damaged. */
  async recover(apply: (record: LogRecord, fromSnapshot: boolean) => void): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true });
    const files = await listFiles(directory);
    const snapshot = files.snapshots.at(-1);
    const base = snapshot?.revision ?? 0;
    if (snapshot !== undefined) {
      for (const record of await readRecords(join(directory, snapshot.name), false)) apply(record, true);
    }
    for (const [index, log] of files.logs.entries()) {
      const isLast = index === files.logs.length - 1;
      for (const record of await readRecords(join(directory, log.name), isLast)) {
        if (record.revision > base) apply(record, false);
      }
    }
    const last = files.logs.at(-1);
    await this.#openLog(last?.name ?? logName(base));
    await removeStale(directory, files, base);
  }

  /** Queues one record; resolves when it is on disk. Calls in one turn of the event loop share a flush. */
  append(record: LogRecord): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    const done = new Promise<void>((resolve, reject) => {
      this.#queue.push({ line: formatRecord(record), resolve, reject });
    });
    this.#running ??= this.#flushLoop();
    return done;
  }

  /** Takes a snapshot now and drops the logs before it. */
  async compact(): Promise<void> {
    this.#rotateWanted = true;
    this.#running ??= this.#flushLoop();
    await this.#running;
    await this.#snapshot;
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#snapshot;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flushLoop(): Promise<void> {
    // One turn of patience lets every request of this tick join the group.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0 || this.#rotateWanted) {
      const group = this.#queue;
      this.#queue = [];
      try {
        if (group.length > 0) await this.#write(group);
        for (const pending of group) pending.resolve();
        if (this.#rotateWanted || this.#bytes > this.#options.compactAfterBytes) await this.#rotate();
      } catch (cause) {
        this.#fail(group, cause);
        return;
      }
    }
    this.#running = undefined;
  }

  async #write(group: readonly Pending[]): Promise<void> {
    if (this.#file === undefined) throw new Error('the log is closed');
    const bytes = Buffer.from(group.map((pending) => pending.line).join(''));
    await this.#file.appendFile(bytes);
    await this.#file.datasync();
    this.#bytes += bytes.length;
  }

  #fail(group: readonly Pending[], cause: unknown): void {
    const error = new DataDirectoryError(`cannot write ${this.#options.directory}: ${messageOf(cause)}`, { cause });
    this.#failed = error;
    for (const pending of [...group, ...this.#queue]) pending.reject(error);
    this.#queue = [];
    this.#running = undefined;
    this.#options.onFailure(error);
  }

  /** Between two groups: a new log begins, and the state until here is written beside it as a snapshot. */
  async #rotate(): Promise<void> {
    await this.#snapshot;
    this.#rotateWanted = false;
    const { revision, records } = this.#options.capture();
    const lines: string[] = [];
    for (const record of records) lines.push(formatRecord(record));
    const previous = this.#file;
    await this.#openLog(logName(revision));
    await previous?.close();
    this.#snapshot = this.#writeSnapshot(revision, lines).catch((cause: unknown) => this.#fail([], cause));
  }

  /** Crash-safe in every step: the snapshot is complete before it has its name, old files go last. */
  async #writeSnapshot(revision: number, lines: readonly string[]): Promise<void> {
    const { directory } = this.#options;
    const temporary = join(directory, 'snapshot.tmp');
    const file = await open(temporary, 'w');
    await file.writeFile(lines.join(''));
    await file.sync();
    await file.close();
    await rename(temporary, join(directory, `snapshot-${revision}.jsonl`));
    await syncDirectory(directory);
    await removeStale(directory, await listFiles(directory), revision);
  }

  async #openLog(name: string): Promise<void> {
    const { directory } = this.#options;
    const file = await open(join(directory, name), 'a');
    this.#bytes = (await file.stat()).size;
    await syncDirectory(directory);
    this.#file = file;
  }
}

function logName(revision: number): string {
  return `log-${revision}.jsonl`;
}

function formatRecord(record: LogRecord): string {
  const { revision, change, resource, key, json } = record;
  const body = `{"r":${revision},"c":"${change}","t":${JSON.stringify(resource)},"k":${JSON.stringify(key)},"o":${json}}`;
  return `${crc32(body).toString(16).padStart(8, '0')} ${body}\n`;
}

function parseRecord(line: string): LogRecord | undefined {
  const body = line.slice(9);
  if (line[8] !== ' ' || crc32(body).toString(16).padStart(8, '0') !== line.slice(0, 8)) return undefined;
  const raw: { r: number; c: 'put' | 'remove'; t: string; k: string } = JSON.parse(body);
  const prefix = `{"r":${raw.r},"c":"${raw.c}","t":${JSON.stringify(raw.t)},"k":${JSON.stringify(raw.k)}`;
  const json = body.slice(prefix.length + 5, -1);
  return { revision: raw.r, change: raw.c, resource: raw.t, key: raw.k, json };
}

async function readRecords(path: string, mayBeTorn: boolean): Promise<readonly LogRecord[]> {
  const text = await readFile(path, 'utf8');
  const lines = text.split('\n');
  const tail = lines.pop() ?? '';
  const records: LogRecord[] = [];
  for (const [index, line] of lines.entries()) {
    const record = parseRecord(line);
    if (record !== undefined) {
      records.push(record);
      continue;
    }
    const isLast = index === lines.length - 1 && tail === '';
    if (!mayBeTorn || !isLast) throw damaged(path, index + 1);
    await dropTail(path, lines.slice(0, index));
    return records;
  }
  if (tail !== '') {
    if (!mayBeTorn) throw damaged(path, lines.length + 1);
    await dropTail(path, lines);
  }
  return records;
}

function damaged(path: string, line: number): DataDirectoryError {
  return new DataDirectoryError(`${path} is damaged at line ${line}: expected a record with a matching checksum`);
}

/** Cuts a torn record off, so that later appends do not follow half a line. */
async function dropTail(path: string, kept: readonly string[]): Promise<void> {
  let length = 0;
  for (const line of kept) length += Buffer.byteLength(line) + 1;
  await truncate(path, length);
}

interface DataFile {
  readonly name: string;
  readonly revision: number;
}

async function listFiles(directory: string): Promise<{ snapshots: readonly DataFile[]; logs: readonly DataFile[] }> {
  const names = await readdir(directory);
  const matching = (pattern: RegExp): DataFile[] =>
    names
      .flatMap((name) => {
        const match = pattern.exec(name);
        return match === null ? [] : [{ name, revision: Number(match[1]) }];
      })
      .sort((a, b) => a.revision - b.revision);
  return { snapshots: matching(/^snapshot-(\d+)\.jsonl$/), logs: matching(/^log-(\d+)\.jsonl$/) };
}

async function removeStale(
  directory: string,
  files: { readonly snapshots: readonly DataFile[]; readonly logs: readonly DataFile[] },
  base: number,
): Promise<void> {
  const stale = [...files.snapshots, ...files.logs.slice(0, -1)].filter((file) => file.revision < base);
  for (const file of stale) await rm(join(directory, file.name), { force: true });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync();
  await handle.close();
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
