/** The netlink thread: does one request after the other, in the order they came, and waits for the kernel in each. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadLibrary } from './library.ts';
import type { NetlinkReply, NetlinkRequest, NetlinkThreadData, PackedSteps } from './netlink-protocol.ts';
import { VERBS } from './netlink-protocol.ts';
import { NetlinkTable } from './netlink-table.ts';

const { ownership } = workerData as NetlinkThreadData;

function reply(message: NetlinkReply): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(message);
}

function open(): NetlinkTable {
  const loaded = loadLibrary();
  if (!loaded.ok) throw new Error(loaded.reason);
  return new NetlinkTable(loaded.library, ownership);
}

function answer(table: NetlinkTable, request: NetlinkRequest): NetlinkReply {
  const { id } = request;
  switch (request.kind) {
    case 'routes':
      return { id, kind: 'refusals', refusals: table.applyRoutes(unpackSteps(request.steps)) };
    case 'nexthops':
      return { id, kind: 'refusals', refusals: table.applyNexthops(request.steps) };
    case 'read':
      return { id, kind: 'reading', ...table.read(request.isFresh) };
  }
}

function unpackSteps({ prefixes, verbs, shapeOf, shapes }: PackedSteps) {
  return prefixes.split('\n').flatMap((prefix, index) => {
    const shape = shapes[shapeOf[index] ?? -1];
    return shape === undefined ? [] : [{ verb: VERBS[verbs[index] ?? 0] ?? 'add', prefix, shape }];
  });
}

try {
  const table = open();
  parentPort?.on('message', (request: NetlinkRequest) => {
    try {
      reply(answer(table, request));
    } catch (error) {
      reply({ id: request.id, kind: 'failure', message: messageOf(error) });
    }
  });
  reply({ id: 0, kind: 'ready', reason: undefined });
} catch (error) {
  reply({ id: 0, kind: 'ready', reason: messageOf(error) });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
