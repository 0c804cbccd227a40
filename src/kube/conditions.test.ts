import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, suite, test } from 'node:test';
import { createVirtualTimers } from '#reconcile';
import { type ConditionClaim, type ConditionWriter, createConditionWriter, withClaim } from './conditions.ts';
import { isRecord, type KubeObject } from './objects.ts';
import { resources } from './resources.ts';
import {
  answer,
  recordLog,
  type ScriptedRequest,
  type ScriptedServer,
  startScriptedServer,
  status,
} from './testing.ts';

const ready: ConditionClaim = { type: 'Allocatable', holds: true, reason: 'OK', message: 'the pool is used' };
const overlap: ConditionClaim = {
  type: 'Allocatable',
  holds: false,
  reason: 'CIDROverlap',
  message: 'spec.cidr: overlaps a',
};
const written = {
  type: 'Allocatable',
  status: 'True',
  reason: 'OK',
  message: 'the pool is used',
  observedGeneration: 2,
};

function pool(conditions?: readonly unknown[]): KubeObject {
  return {
    metadata: { name: 'p', generation: 2, resourceVersion: '1' },
    status: conditions === undefined ? undefined : { conditions },
  };
}

suite('a claim in a status', () => {
  const other = { type: 'Mine', status: 'True', reason: 'X', message: '', lastTransitionTime: 'then' };
  const cases: readonly { name: string; before: KubeObject; claim: ConditionClaim; after: unknown }[] = [
    {
      name: 'is added to an object without status',
      before: pool(),
      claim: ready,
      after: [{ ...written, lastTransitionTime: 'now' }],
    },
    {
      name: 'leaves the claims of others alone',
      before: pool([other]),
      claim: ready,
      after: [other, { ...written, lastTransitionTime: 'now' }],
    },
    {
      name: 'is not written twice',
      before: pool([{ ...written, lastTransitionTime: 'then' }]),
      claim: ready,
      after: undefined,
    },
    {
      name: 'keeps its time while only the words change',
      before: pool([{ ...written, message: 'old', lastTransitionTime: 'then' }]),
      claim: ready,
      after: [{ ...written, lastTransitionTime: 'then' }],
    },
    {
      name: 'has a new time when it turns',
      before: pool([{ ...written, lastTransitionTime: 'then' }]),
      claim: overlap,
      after: [
        {
          ...written,
          status: 'False',
          reason: 'CIDROverlap',
          message: 'spec.cidr: overlaps a',
          lastTransitionTime: 'now',
        },
      ],
    },
    {
      name: 'is written again for a new generation',
      before: pool([{ ...written, observedGeneration: 1, lastTransitionTime: 'then' }]),
      claim: ready,
      after: [{ ...written, lastTransitionTime: 'then' }],
    },
  ];
  for (const row of cases) {
    test(row.name, () => assert.deepEqual(withClaim(row.before, row.claim, 'now')?.['conditions'], row.after));
  }
});

suite('the writer', () => {
  const ends: (() => Promise<void>)[] = [];
  after(async () => {
    for (const end of ends) await end();
  });

  /** A server with one pool `p`; `write` answers the PUTs. */
  async function begin(write: (request: ScriptedRequest, response: ServerResponse) => void) {
    const timers = createVirtualTimers();
    let seen: () => void = () => undefined;
    const server: ScriptedServer = await startScriptedServer((request, response) => {
      if (request.method === 'PUT') write(request, response);
      else if (request.path.endsWith('/p')) answer(response, 200, pool());
      else answer(response, 404, status(404, 'NotFound'));
      seen();
    });
    const writer: ConditionWriter = createConditionWriter({
      client: server.client,
      resource: resources.ipPools,
      timers,
      random: () => 0.5,
      log: recordLog(),
      now: () => 0,
      spreadMs: 1000,
    });
    ends.push(async () => {
      await writer.stop();
      await server.close();
    });
    const until = async (count: number): Promise<void> => {
      while (server.requests.length < count) await new Promise<void>((resolve) => (seen = resolve));
    };
    return { timers, server, writer, until };
  }

  test('waits a random while, reads, then writes the status once', async () => {
    const { timers, server, writer, until } = await begin((request, response) => answer(response, 200, request.body));
    writer.publish(new Map([['p', ready]]));
    writer.publish(new Map([['p', ready]]));
    timers.advance(499);
    assert.equal(server.requests.length, 0);
    timers.advance(1);
    await until(2);
    assert.deepEqual(
      server.requests.map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`),
      ['GET ippools/p', 'PUT p/status'],
    );
    const body: unknown = JSON.parse(server.requests[1]?.body ?? '');
    assert.deepEqual(isRecord(body) ? body['status'] : undefined, {
      conditions: [{ ...written, lastTransitionTime: '1970-01-01T00:00:00.000Z' }],
    });
  });

  test('tries again when the object changed meanwhile', async () => {
    let puts = 0;
    const { timers, server, writer, until } = await begin((request, response) => {
      puts += 1;
      if (puts === 1) answer(response, 409, status(409, 'Conflict'));
      else answer(response, 200, request.body);
    });
    writer.publish(new Map([['p', ready]]));
    timers.advance(500);
    await until(2);
    while (timers.pending() === 0) await new Promise((resolve) => setImmediate(resolve));
    timers.advance(1000);
    await until(4);
    assert.equal(server.requests.length, 4);
  });

  test('an object that is gone is no fault, and does not hold up the next', async () => {
    const { timers, server, writer, until } = await begin((request, response) => answer(response, 200, request.body));
    writer.publish(
      new Map([
        ['gone', ready],
        ['p', ready],
      ]),
    );
    timers.advance(500);
    await until(3);
    assert.deepEqual(
      server.requests.map(({ method }) => method),
      ['GET', 'GET', 'PUT'],
    );
  });
});
