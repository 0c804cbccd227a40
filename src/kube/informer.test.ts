import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, suite, test } from 'node:test';
import { Informer } from './informer.ts';
import { isRecord } from './objects.ts';
import { resources } from './resources.ts';
import {
  answer,
  realTimers,
  recordLog,
  type ScriptedRequest,
  type ScriptedServer,
  startScriptedServer,
  status,
} from './testing.ts';

type Raw = Readonly<Record<string, unknown>>;

function pool(name: string, version: number, value = 'v', uid = `uid-${name}`): Raw {
  return { metadata: { name, uid, resourceVersion: String(version) }, spec: { value } };
}

/** A server of which a test sees every list and watch, and answers each by hand. */
class Story {
  readonly lists: ServerResponse[] = [];
  readonly watches: { readonly query: URLSearchParams; readonly response: ServerResponse }[] = [];
  readonly log = recordLog();
  changes = 0;
  onChange: () => void = () => undefined;
  server!: ScriptedServer;
  informer!: Informer<string>;
  #waiting: (() => void)[] = [];

  async start(): Promise<this> {
    this.server = await startScriptedServer((request, response) => this.#receive(request, response));
    this.informer = new Informer({
      client: this.server.client,
      resource: resources.ipPools,
      fieldSelector: 'spec.node=a',
      parse: ({ spec }) => {
        const value = isRecord(spec) ? spec['value'] : undefined;
        if (value === 'throw') throw new Error('boom');
        return typeof value === 'string' && value !== 'bad'
          ? { ok: true, value }
          : { ok: false, reason: 'spec.value: bad' };
      },
      timers: realTimers,
      random: () => 0.5,
      log: this.log,
      backoff: { baseMs: 2, maxMs: 10, jitter: 0.5 },
      onChange: () => {
        this.changes += 1;
        this.#wake();
        this.onChange();
      },
    });
    this.informer.start();
    running.push(this);
    return this;
  }

  #receive(request: ScriptedRequest, response: ServerResponse): void {
    if (request.query.get('watch') === null) this.lists.push(response);
    else {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      this.watches.push({ query: request.query, response });
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Waits for the next thing to happen until `reached`. */
  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async list(number: number): Promise<ServerResponse> {
    await this.until(() => this.lists.length >= number);
    return this.lists[number - 1] as ServerResponse;
  }

  async answerList(number: number, version: number, ...items: readonly Raw[]): Promise<void> {
    answer(await this.list(number), 200, { metadata: { resourceVersion: String(version) }, items });
  }

  async watch(number: number): Promise<{ readonly query: URLSearchParams; readonly response: ServerResponse }> {
    await this.until(() => this.watches.length >= number);
    return this.watches[number - 1] as { query: URLSearchParams; response: ServerResponse };
  }

  async send(number: number, ...events: readonly (readonly [type: string, object: Raw])[]): Promise<void> {
    const { response } = await this.watch(number);
    response.write(events.map(([type, object]) => `${JSON.stringify({ type, object })}\n`).join(''));
  }

  items(): readonly (readonly [string, string])[] {
    return [...this.informer.items];
  }
}

const running: Story[] = [];
after(async () => {
  for (const { informer, server } of running) {
    await informer.stop();
    await server.close();
  }
});

async function tell(): Promise<Story> {
  return await new Story().start();
}

suite('list and watch', () => {
  test('is in sync after the list, then watches from its resourceVersion with bookmarks and a time limit', async () => {
    const story = await tell();
    assert.equal(story.informer.inSync, false);
    await story.answerList(1, 10, pool('a', 3), pool('b', 4));
    const { query } = await story.watch(1);
    assert.equal(story.informer.inSync, true);
    assert.deepEqual(story.items(), [
      ['a', 'v'],
      ['b', 'v'],
    ]);
    assert.deepEqual(Object.fromEntries(query), {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '10',
      timeoutSeconds: '450',
      fieldSelector: 'spec.node=a',
    });
  });

  test('an empty list is news too: in sync', async () => {
    const story = await tell();
    await story.answerList(1, 10);
    await story.until(() => story.informer.inSync);
    assert.equal(story.changes, 1);
  });

  test('added, modified and deleted objects come and go', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3));
    await story.send(1, ['ADDED', pool('b', 11)], ['MODIFIED', pool('a', 12, 'w')], ['DELETED', pool('b', 13)]);
    await story.until(() => story.informer.items.get('a') === 'w');
    assert.deepEqual(story.items(), [['a', 'w']]);
  });

  test('events of one chunk are told once', async () => {
    const story = await tell();
    await story.answerList(1, 10);
    await story.until(() => story.changes === 1);
    await story.send(1, ['ADDED', pool('a', 11)], ['ADDED', pool('b', 12)], ['ADDED', pool('c', 13)]);
    await story.until(() => story.informer.items.size === 3);
    assert.equal(story.changes, 2);
  });

  test('an event cut anywhere, within a character too, is read whole', async () => {
    const story = await tell();
    await story.answerList(1, 10);
    const { response } = await story.watch(1);
    const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: pool('a', 11, 'größe') })}\n`);
    response.socket?.setNoDelay(true);
    for (const byte of bytes) response.write(Buffer.from([byte]));
    await story.until(() => story.informer.items.get('a') === 'größe');
  });

  test('a watch that ends goes on after the last event or bookmark', async () => {
    const story = await tell();
    await story.answerList(1, 10);
    await story.send(1, ['ADDED', pool('a', 11)], ['BOOKMARK', { metadata: { resourceVersion: '20' } }]);
    (await story.watch(1)).response.end();
    assert.equal((await story.watch(2)).query.get('resourceVersion'), '20');
    assert.equal(story.lists.length, 1);
  });

  test('stop ends the watch and keeps the items', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3));
    await story.watch(1);
    await story.informer.stop();
    assert.deepEqual(story.items(), [['a', 'v']]);
  });
});

suite('when the API server fails', () => {
  test('a failed list is tried again', async () => {
    const story = await tell();
    answer(await story.list(1), 500, status(500, 'InternalError', 'etcd'));
    await story.answerList(2, 10, pool('a', 3));
    await story.until(() => story.informer.inSync);
    assert.deepEqual(story.log.lines.slice(0, 1), ['warn watch failed, items are kept']);
  });

  test('a broken watch keeps the items, says why, and recovers', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3));
    (await story.watch(1)).response.socket?.destroy();
    await story.watch(2);
    assert.deepEqual(story.items(), [['a', 'v']]);
    await story.send(2, ['MODIFIED', pool('a', 11, 'w')]);
    await story.until(() => story.informer.items.get('a') === 'w');
    assert.equal(story.informer.fault, undefined);
    assert.deepEqual(story.log.lines, ['warn watch failed, items are kept', 'info watch recovered']);
    assert.equal(story.lists.length, 1);
  });

  test('an ERROR event 410 lists again; only what really changed is told', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3), pool('b', 4));
    await story.send(1, ['ERROR', status(410, 'Expired')]);
    await story.list(2);
    assert.deepEqual(story.items().length, 2);
    const before = story.changes;
    await story.answerList(2, 30, pool('a', 3), pool('b', 4));
    assert.equal((await story.watch(2)).query.get('resourceVersion'), '30');
    assert.equal(story.changes, before);
  });

  test('what vanished while the watch was down is gone after the new list', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3), pool('b', 4));
    await story.send(1, ['ERROR', status(410, 'Expired')]);
    await story.answerList(2, 30, pool('b', 4), pool('c', 20));
    await story.until(() => story.informer.items.has('c'));
    assert.deepEqual(
      story.items().map(([name]) => name),
      ['b', 'c'],
    );
  });

  test('a page that has expired starts the list again, and what came before is kept and told', async () => {
    const story = await tell();
    answer(await story.list(1), 200, { metadata: { resourceVersion: '10', continue: 'x' }, items: [pool('a', 3)] });
    answer(await story.list(2), 410, status(410, 'Expired'));
    await story.until(() => story.changes > 0);
    assert.equal(story.informer.inSync, false);
    await story.answerList(3, 11, pool('a', 3));
    await story.until(() => story.informer.inSync);
    assert.deepEqual(story.items(), [['a', 'v']]);
  });

  test('a server that always says 410 is not asked in a tight loop', async () => {
    const story = await tell();
    for (let round = 1; round <= 4; round++) {
      await story.answerList(round, 10);
      await story.send(round, ['ERROR', status(410, 'Expired')]);
    }
    await story.list(5);
    assert.ok(story.log.lines.includes('warn watch failed, items are kept'));
  });

  test('a line that is no event lists again, since an event was lost with it', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3));
    (await story.watch(1)).response.write('{"type":"MODI\n');
    await story.answerList(2, 12, pool('a', 11, 'w'));
    await story.until(() => story.informer.items.get('a') === 'w');
  });

  test('another ERROR event watches again from the same place', async () => {
    const story = await tell();
    await story.answerList(1, 10);
    await story.send(1, ['ADDED', pool('a', 11)], ['ERROR', status(500, 'InternalError')]);
    assert.equal((await story.watch(2)).query.get('resourceVersion'), '11');
  });
});

suite('objects that cannot be parsed', () => {
  test('the last valid value stays, and the reason is listed', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3));
    await story.send(1, ['MODIFIED', pool('a', 11, 'bad')]);
    await story.until(() => story.informer.invalid.size === 1);
    assert.deepEqual([story.items(), story.informer.invalid.get('a')], [[['a', 'v']], { reason: 'spec.value: bad' }]);
    await story.send(1, ['MODIFIED', pool('a', 12, 'w')]);
    await story.until(() => story.informer.invalid.size === 0);
    assert.deepEqual(story.items(), [['a', 'w']]);
  });

  test('one that was never valid is no item', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3, 'bad'), pool('b', 4));
    await story.until(() => story.informer.inSync);
    assert.deepEqual([story.items(), [...story.informer.invalid.keys()]], [[['b', 'v']], ['a']]);
  });

  test('the last valid value of another object of the same name does not stay', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3));
    await story.send(1, ['ERROR', status(410, 'Expired')]);
    await story.answerList(2, 20, pool('a', 15, 'bad', 'another'));
    await story.until(() => story.informer.invalid.size === 1);
    assert.deepEqual(story.items(), []);
  });

  test('a deleted one is no longer listed as invalid', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3, 'bad'));
    await story.send(1, ['DELETED', pool('a', 11, 'bad')]);
    await story.until(() => story.informer.invalid.size === 0 && story.changes > 1);
  });

  test('a parser that throws spoils one object only', async () => {
    const story = await tell();
    await story.answerList(1, 10, pool('a', 3, 'throw'), pool('b', 4));
    await story.until(() => story.informer.inSync);
    assert.deepEqual(story.informer.invalid.get('a'), { reason: 'cannot be read: boom' });
    assert.deepEqual(story.items(), [['b', 'v']]);
  });

  test('a listener that throws is logged and ends nothing', async () => {
    const story = await tell();
    story.onChange = () => {
      throw new Error('listener');
    };
    await story.answerList(1, 10, pool('a', 3));
    await story.send(1, ['MODIFIED', pool('a', 11, 'w')]);
    await story.until(() => story.informer.items.get('a') === 'w');
    assert.ok(story.log.lines.includes('error a listener of an informer failed'));
  });
});
