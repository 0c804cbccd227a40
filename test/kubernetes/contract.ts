/**
 * What our programs rely on of a Kubernetes API server, through HTTP and nothing else: the same suite runs on the
 * embedded server and on a real kube-apiserver (etcd ≥ 3.5, watch cache on) with the CRDs of test/fixtures. Each test
 * uses names of its own and leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Watching } from './watching.ts';

export interface ContractTarget {
  readonly url: string;
  /** Authentication, where the server wants one. */
  readonly headers?: Readonly<Record<string, string>>;
}

interface Metadata {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

interface Answer {
  readonly code: number;
  readonly warnings: string | null;
  readonly contentType: string | null;
  readonly body: Body;
}

interface Body {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: Metadata;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
  readonly message: string;
  readonly reason: string;
  readonly details: {
    readonly name: string;
    readonly kind: string;
    readonly causes: readonly { readonly field: string; readonly reason: string }[];
  };
  readonly items: readonly Body[];
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
  readonly [field: string]: unknown;
}

const pools = '/apis/manx.network/v1/ippools';
const peers = '/apis/manx.network/v1/bgppeers';
const blocks = '/apis/manx.network/v1/ipamblocks';
const merge = 'application/merge-patch+json';
const jsonPatch = 'application/json-patch+json';
const asTable = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

/** Registers the suite; `open` gives a running server, `close` is called at the end. */
export function apiContract(name: string, open: () => Promise<ContractTarget>, close: () => Promise<void>): void {
  let target: ContractTarget = { url: '' };
  const run = Math.random().toString(36).slice(2, 8);
  let counter = 0;

  const unique = (prefix = 'c'): string => {
    counter += 1;
    return `${prefix}-${run}-${counter}`;
  };

  async function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${target.url}${path}`, {
      method,
      headers: { ...target.headers, 'Content-Type': 'application/json', ...headers },
      ...(text === undefined ? {} : { body: text }),
    });
    const answer = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true && answer !== '';
    const parsed: Body = isJson ? JSON.parse(answer) : ({ message: answer } as Body);
    return {
      code: response.status,
      warnings: response.headers.get('warning'),
      contentType: response.headers.get('content-type'),
      body: parsed,
    };
  }

  const get = async (path: string, accept = 'application/json'): Promise<Answer> =>
    call('GET', path, undefined, { Accept: accept });
  const patch = async (path: string, body: unknown, type = merge): Promise<Answer> =>
    call('PATCH', path, body, { 'Content-Type': type });
  const watch = async (path: string): Promise<Watching> => Watching.open(`${target.url}${path}`, target.headers ?? {});
  const pool = (metadata: object, spec: object = { cidr: '10.1.0.0/16' }): object => ({
    apiVersion: 'manx.network/v1',
    kind: 'IPPool',
    metadata,
    spec,
  });
  const create = async (
    metadata: { readonly name: string; readonly [field: string]: unknown },
    spec?: object,
  ): Promise<Body> => {
    const answer = await call('POST', pools, pool(metadata, spec));
    assert.equal(answer.code, 201, answer.body.message);
    return answer.body;
  };
  const remove = async (name: string): Promise<void> => {
    await patch(`${pools}/${name}`, { metadata: { finalizers: null } });
    await call('DELETE', `${pools}/${name}`);
  };
  const fields = (answer: Answer): string[] =>
    answer.body.details.causes.map((cause) => `${cause.field} ${cause.reason}`).sort();

  describe(`${name}: Kubernetes API contract`, () => {
    before(async () => {
      target = await open();
    });
    after(close);

    describe('create', () => {
      test('gives uid, revision, time, generation 1 and the defaults of the schema', async () => {
        const name = unique();
        const { metadata, spec } = await create({
          name,
          uid: 'mine',
          generation: 7,
          creationTimestamp: '2020-01-01T00:00:00Z',
        });
        assert.match(metadata.uid, /^[0-9a-f-]{36}$/);
        assert.equal(metadata.generation, 1);
        assert.notEqual(metadata.creationTimestamp, '2020-01-01T00:00:00Z');
        assert.match(metadata.resourceVersion, /^\d+$/);
        assert.deepEqual(spec, {
          allowedUses: ['Workload', 'Tunnel'],
          blockSize: 26,
          cidr: '10.1.0.0/16',
          disabled: false,
          encapsulation: 'None',
          natOutgoing: false,
          nodeSelector: 'all()',
        });
        await remove(name);
      });

      test('drops status where it is a subresource and keeps it where it is not', async () => {
        const name = unique();
        const made = await call('POST', pools, { ...pool({ name }), status: { allocated: 5 } });
        assert.equal(made.body.status, undefined);
        await remove(name);
        const block = await call('POST', blocks, {
          apiVersion: 'manx.network/v1',
          kind: 'IPAMBlock',
          metadata: { name },
          spec: { cidr: '10.1.0.0/26', affinity: null, allocations: [null, 0] },
          status: { x: 1 },
        });
        assert.deepEqual(
          [block.code, block.body.status, block.body.spec['affinity'], block.body.spec['allocations']],
          [201, { x: 1 }, null, [null, 0]],
        );
        await call('DELETE', `${blocks}/${name}`);
      });

      test('makes a name from generateName with five letters that spell nothing', async () => {
        const made = await call('POST', pools, pool({ generateName: 'gen-' }));
        assert.match(made.body.metadata.name, /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
        await remove(made.body.metadata.name);
      });

      test('refuses a name that exists with 409 AlreadyExists', async () => {
        const name = unique();
        await create({ name });
        const again = await call('POST', pools, pool({ name }));
        assert.deepEqual([again.code, again.body.reason, again.body.details.kind], [409, 'AlreadyExists', 'ippools']);
        await remove(name);
      });

      test('of twenty at once with one name exactly one succeeds', async () => {
        const name = unique();
        const answers = await Promise.all(Array.from({ length: 20 }, async () => call('POST', pools, pool({ name }))));
        assert.equal(answers.filter((answer) => answer.code === 201).length, 1);
        assert.equal(answers.filter((answer) => answer.code === 409).length, 19);
        await remove(name);
      });

      const refused: readonly [string, unknown, number, string][] = [
        ['no name', pool({}), 422, 'metadata.name'],
        ['a bad name', pool({ name: 'Bad_Name' }), 422, 'metadata.name'],
        ['a bad label', pool({ name: 'x', labels: { 'a b': 'c' } }), 422, 'metadata.labels'],
        [
          'a wrong API version',
          { ...pool({ name: 'x' }), apiVersion: 'manx.network/v2' },
          400,
          'does not match the expected API version',
        ],
        ['no kind', { metadata: { name: 'x' } }, 400, "Object 'Kind' is missing"],
        ['an empty body', '', 400, 'unexpected end of JSON input'],
        ['broken JSON', '{"broken', 400, 'unexpected end of JSON input'],
        ['a list', [], 400, 'cannot unmarshal array'],
        [
          'annotations beyond 256 KiB',
          pool({ name: 'x', annotations: { a: 'x'.repeat(270_000) } }),
          422,
          'metadata.annotations',
        ],
        [
          'a body beyond 3 MiB',
          pool({ name: 'x', annotations: { a: 'x'.repeat(3_200_000) } }),
          413,
          'limit is 3145728',
        ],
      ];
      for (const [what, body, code, text] of refused) {
        test(`refuses ${what} with ${code}`, async () => {
          const answer = await call('POST', pools, body);
          assert.equal(answer.code, code);
          assert.ok(answer.body.message.includes(text), answer.body.message);
        });
      }
    });

    describe('schema', () => {
      const cases: readonly [string, object, string[]][] = [
        ['a wrong type', { blockSize: '26' }, ['<nil> FieldValueInvalid', 'spec.blockSize FieldValueTypeInvalid']],
        ['a value below the minimum', { blockSize: 19 }, ['spec.blockSize FieldValueInvalid']],
        [
          'a value outside the enum',
          { encapsulation: 'GRE' },
          ['<nil> FieldValueInvalid', 'spec.encapsulation FieldValueNotSupported'],
        ],
        ['a missing required field', { cidr: null }, ['<nil> FieldValueInvalid', 'spec.cidr FieldValueRequired']],
        ['a string that does not match', { comment: 'é' }, ['spec.comment FieldValueInvalid']],
        [
          'a string that is too long',
          { comment: 'x'.repeat(65) },
          ['<nil> FieldValueInvalid', 'spec.comment FieldValueTooLong'],
        ],
        ['a set with a duplicate', { allowedUses: ['Tunnel', 'Tunnel'] }, ['spec.allowedUses[1] FieldValueDuplicate']],
        ['a broken CEL rule', { cidr: 'nope' }, ['spec.cidr FieldValueInvalid']],
        ['a broken CEL rule with a fieldPath', { cidr: '10.1.0.0/28' }, ['spec.blockSize FieldValueInvalid']],
      ];
      for (const [what, spec, causes] of cases) {
        test(`names the field of ${what}`, async () => {
          const answer = await call(
            'POST',
            `${pools}?dryRun=All`,
            pool({ name: unique() }, { cidr: '10.1.0.0/16', ...spec }),
          );
          assert.equal(answer.code, 422, JSON.stringify(answer.body));
          assert.deepEqual(fields(answer), causes);
        });
      }

      test('takes null for a nullable field and the default for another', async () => {
        const { body } = await call(
          'POST',
          `${pools}?dryRun=All`,
          pool({ name: unique() }, { cidr: '10.1.0.0/16', comment: null, blockSize: null }),
        );
        assert.deepEqual([body.spec['comment'], body.spec['blockSize']], [null, 26]);
      });

      test('takes an integer or a string where both are allowed', async () => {
        for (const asNumber of [64_512, '1.10']) {
          const body = {
            apiVersion: 'manx.network/v1',
            kind: 'BGPPeer',
            metadata: { name: unique() },
            spec: { peerIP: '192.0.2.1', asNumber },
          };
          const answer = await call('POST', `${peers}?dryRun=All`, body);
          assert.deepEqual([answer.code, answer.body.spec['asNumber']], [201, asNumber]);
        }
      });

      test('refuses a change of an immutable field', async () => {
        const name = unique();
        await create({ name });
        const answer = await patch(`${pools}/${name}`, { spec: { cidr: '10.2.0.0/16' } });
        assert.deepEqual([answer.code, fields(answer)], [422, ['spec.cidr FieldValueForbidden']]);
        await remove(name);
      });

      test('prunes unknown fields with a warning, refuses them under Strict, is silent under Ignore', async () => {
        const name = unique();
        const body = pool({ name }, { cidr: '10.1.0.0/16', blokSize: 27 });
        const warned = await call('POST', `${pools}?dryRun=All`, body);
        assert.deepEqual([warned.code, warned.body.spec['blokSize']], [201, undefined]);
        assert.match(warned.warnings ?? '', /unknown field \\"spec.blokSize\\"/);
        const strict = await call('POST', `${pools}?dryRun=All&fieldValidation=Strict`, body);
        assert.equal(strict.code, 400);
        assert.match(strict.body.message, /strict decoding error: unknown field "spec.blokSize"/);
        const ignored = await call('POST', `${pools}?dryRun=All&fieldValidation=Ignore`, body);
        assert.deepEqual([ignored.code, ignored.warnings], [201, null]);
      });

      test('reports a field that is there twice', async () => {
        const text = `{"apiVersion":"manx.network/v1","kind":"IPPool","metadata":{"name":"${unique()}"},"spec":{"cidr":"10.1.0.0/16","blockSize":27,"blockSize":28}}`;
        const warned = await call('POST', `${pools}?dryRun=All`, text);
        assert.match(warned.warnings ?? '', /duplicate field \\"spec.blockSize\\"/);
        const strict = await call('POST', `${pools}?dryRun=All&fieldValidation=Strict`, text);
        assert.equal(strict.code, 400);
      });
    });

    describe('update', () => {
      test('needs the present resourceVersion: 409 for an old one, 422 for none', async () => {
        const name = unique();
        const made = await create({ name });
        const changed = await call('PUT', `${pools}/${name}`, { ...made, spec: { ...made.spec, blockSize: 27 } });
        assert.deepEqual([changed.code, changed.body.metadata.generation], [200, 2]);
        const stale = await call('PUT', `${pools}/${name}`, { ...made, spec: { ...made.spec, blockSize: 28 } });
        assert.deepEqual([stale.code, stale.body.reason], [409, 'Conflict']);
        const none = await call('PUT', `${pools}/${name}`, pool({ name }));
        assert.deepEqual([none.code, fields(none)], [422, ['metadata.resourceVersion FieldValueInvalid']]);
        await remove(name);
      });

      test('of ten at once with one resourceVersion exactly one wins', async () => {
        const name = unique();
        const made = await create({ name });
        const answers = await Promise.all(
          Array.from({ length: 10 }, async (_, index) =>
            call('PUT', `${pools}/${name}`, { ...made, metadata: { ...made.metadata, labels: { n: String(index) } } }),
          ),
        );
        assert.deepEqual(
          answers.map((answer) => answer.code).sort((a, b) => a - b),
          [200, ...Array.from({ length: 9 }, () => 409)],
        );
        await remove(name);
      });

      test('that changes nothing keeps the resourceVersion and makes no event', async () => {
        const name = unique();
        const made = await create({ name });
        const watching = await watch(
          `${pools}?watch=true&resourceVersion=${made.metadata.resourceVersion}&fieldSelector=metadata.name%3D${name}`,
        );
        const same = await call('PUT', `${pools}/${name}`, made);
        assert.equal(same.body.metadata.resourceVersion, made.metadata.resourceVersion);
        await patch(`${pools}/${name}`, {});
        await patch(`${pools}/${name}`, { spec: { blockSize: 26 } });
        await patch(`${pools}/${name}`, { metadata: { labels: { real: 'change' } } });
        assert.deepEqual(await watching.first(1), [`MODIFIED ${name}`]);
        assert.equal(watching.events[0]?.object.metadata.labels?.['real'], 'change');
        await watching.close();
        await remove(name);
      });

      test('refuses another name (400), a missing object (404) and another uid (409)', async () => {
        const name = unique();
        const made = await create({ name });
        assert.equal(
          (await call('PUT', `${pools}/${name}`, { ...made, metadata: { ...made.metadata, name: 'other' } })).code,
          400,
        );
        assert.equal(
          (
            await call('PUT', `${pools}/${unique()}x`, {
              ...made,
              metadata: { ...made.metadata, name: `c-${run}-${counter}x` },
            })
          ).code,
          404,
        );
        const uid = '00000000-0000-4000-8000-000000000000';
        assert.equal(
          (await call('PUT', `${pools}/${name}`, { ...made, metadata: { ...made.metadata, uid } })).code,
          409,
        );
        await remove(name);
      });

      test('counts generation for spec changes only', async () => {
        const name = unique();
        await create({ name });
        const generation = async (change: unknown, path = `${pools}/${name}`): Promise<number> =>
          (await patch(path, change)).body.metadata.generation;
        assert.equal(await generation({ metadata: { labels: { a: 'b' } } }), 1);
        assert.equal(await generation({ status: { allocated: 1 } }, `${pools}/${name}/status`), 1);
        assert.equal(await generation({ spec: { blockSize: 27 } }), 2);
        assert.equal(await generation({ metadata: { generation: 77 } }), 2);
        await remove(name);
      });

      test('splits status from the rest', async () => {
        const name = unique();
        const made = await create({ name, labels: { a: 'b' } });
        const status = await call('PUT', `${pools}/${name}/status`, {
          ...made,
          metadata: { ...made.metadata, labels: { x: 'y' } },
          spec: { cidr: '10.9.0.0/16' },
          status: { allocated: 4 },
        });
        assert.deepEqual(
          [status.code, status.body.spec['cidr'], status.body.metadata.labels, status.body.status],
          [200, '10.1.0.0/16', { a: 'b' }, { allocated: 4 }],
        );
        const main = await patch(`${pools}/${name}`, { status: { allocated: 99 }, spec: { blockSize: 28 } });
        assert.deepEqual([main.body.status, main.body.spec['blockSize']], [{ allocated: 4 }, 28]);
        assert.equal((await call('POST', `${pools}/${name}/status`, made)).code, 405);
        await remove(name);
      });

      test('dryRun answers as the real thing and stores nothing', async () => {
        const name = unique();
        const made = await create({ name });
        assert.equal(
          (await patch(`${pools}/${name}?dryRun=All`, { spec: { blockSize: 29 } })).body.spec['blockSize'],
          29,
        );
        assert.equal((await call('DELETE', `${pools}/${name}?dryRun=All`)).code, 200);
        assert.equal((await get(`${pools}/${name}`)).body.metadata.resourceVersion, made.metadata.resourceVersion);
        assert.equal((await call('POST', `${pools}?dryRun=Some`, pool({ name: unique() }))).code, 422);
        await remove(name);
      });
    });

    describe('patch', () => {
      test('merges (RFC 7396): null removes, a removed default comes back, lists are replaced', async () => {
        const name = unique();
        await create({ name, labels: { odd: '1' } });
        const first = await patch(`${pools}/${name}`, {
          spec: { blockSize: 28, allowedUses: ['Tunnel'] },
          metadata: { labels: { a: '1', odd: null } },
        });
        assert.deepEqual(
          [first.body.spec['blockSize'], first.body.spec['allowedUses'], first.body.metadata.labels],
          [28, ['Tunnel'], { a: '1' }],
        );
        const second = await patch(`${pools}/${name}`, { spec: { blockSize: null } });
        assert.equal(second.body.spec['blockSize'], 26);
        await remove(name);
      });

      test('guards with metadata.resourceVersion', async () => {
        const name = unique();
        await create({ name });
        assert.equal(
          (await patch(`${pools}/${name}`, { metadata: { resourceVersion: '1' }, spec: { blockSize: 30 } })).code,
          409,
        );
        await remove(name);
      });

      test('applies RFC 6902 and answers 422 when a test or a path fails', async () => {
        const name = unique();
        await create({ name });
        const ops = [
          { op: 'test', path: '/spec/blockSize', value: 26 },
          { op: 'replace', path: '/spec/blockSize', value: 27 },
          { op: 'add', path: '/spec/allowedUses/-', value: 'LoadBalancer' },
        ];
        const done = await patch(`${pools}/${name}`, ops, jsonPatch);
        assert.deepEqual(
          [done.body.spec['blockSize'], done.body.spec['allowedUses']],
          [27, ['Workload', 'Tunnel', 'LoadBalancer']],
        );
        assert.equal(
          (await patch(`${pools}/${name}`, [{ op: 'test', path: '/spec/blockSize', value: 1 }], jsonPatch)).code,
          422,
        );
        assert.equal((await patch(`${pools}/${name}`, [{ op: 'remove', path: '/spec/nope' }], jsonPatch)).code, 422);
        assert.equal((await patch(`${pools}/${name}`, { op: 'add' }, jsonPatch)).code, 400);
        await remove(name);
      });

      test('refuses strategic merge on a custom resource and unknown types with 415', async () => {
        const name = unique();
        await create({ name });
        assert.equal((await patch(`${pools}/${name}`, {}, 'application/strategic-merge-patch+json')).code, 415);
        assert.equal((await patch(`${pools}/${name}`, {}, 'text/plain')).code, 415);
        assert.equal((await patch(`${pools}/nope-${run}`, {})).code, 404);
        await remove(name);
      });
    });

    describe('delete', () => {
      test('answers a Status with the uid, then 404', async () => {
        const name = unique();
        await create({ name });
        const gone = await call('DELETE', `${pools}/${name}`);
        assert.deepEqual(
          [gone.code, gone.body.kind, gone.body.status, gone.body.details.name],
          [200, 'Status', 'Success', name],
        );
        assert.equal((await call('DELETE', `${pools}/${name}`)).code, 404);
      });

      test('honours preconditions on uid and resourceVersion', async () => {
        const name = unique();
        const { metadata } = await create({ name });
        const remove = async (preconditions: object): Promise<number> =>
          (await call('DELETE', `${pools}/${name}`, { preconditions })).code;
        assert.equal(await remove({ uid: '00000000-0000-4000-8000-000000000000' }), 409);
        assert.equal(await remove({ resourceVersion: '1' }), 409);
        assert.equal(await remove({ uid: metadata.uid, resourceVersion: metadata.resourceVersion }), 200);
      });

      test('waits for finalizers: marked first, gone with the last one', async () => {
        const name = unique();
        const made = await create({ name, finalizers: ['a.b/c', 'a.b/d'] });
        const watching = await watch(
          `${pools}?watch=true&resourceVersion=${made.metadata.resourceVersion}&fieldSelector=metadata.name%3D${name}`,
        );
        const marked = await call('DELETE', `${pools}/${name}`);
        assert.deepEqual(
          [marked.code, marked.body.metadata.generation, typeof marked.body.metadata.deletionTimestamp],
          [200, 2, 'string'],
        );
        const again = await call('DELETE', `${pools}/${name}`);
        assert.equal(again.body.metadata.resourceVersion, marked.body.metadata.resourceVersion);
        const more = await patch(`${pools}/${name}`, { metadata: { finalizers: ['a.b/c', 'a.b/d', 'a.b/e'] } });
        assert.deepEqual([more.code, fields(more)], [422, ['metadata.finalizers FieldValueForbidden']]);
        const one = await patch(`${pools}/${name}`, { metadata: { finalizers: ['a.b/d'] } });
        const last = await patch(`${pools}/${name}`, { metadata: { finalizers: null } });
        assert.deepEqual(
          [last.code, last.body.metadata.finalizers, last.body.metadata.resourceVersion],
          [200, undefined, one.body.metadata.resourceVersion],
        );
        assert.deepEqual(await watching.first(3), [`MODIFIED ${name}`, `MODIFIED ${name}`, `DELETED ${name}`]);
        assert.deepEqual(watching.events[2]?.object.metadata.finalizers, ['a.b/d']);
        assert.ok(
          Number(watching.events[2]?.object.metadata.resourceVersion) > Number(one.body.metadata.resourceVersion),
        );
        assert.equal((await get(`${pools}/${name}`)).code, 404);
        await watching.close();
      });

      test('of a collection takes a selector and answers with what it chose', async () => {
        const label = unique('l');
        const names = [unique(), unique()];
        for (const name of names) await create({ name, labels: { set: label } });
        const deleted = await call('DELETE', `${pools}?labelSelector=set%3D${label}`);
        assert.deepEqual(
          deleted.body.items.map((item) => item.metadata.name),
          names,
        );
        assert.equal((await get(`${pools}?labelSelector=set%3D${label}`)).body.items.length, 0);
      });
    });

    describe('list', () => {
      const label = `list-${run}`;
      const names: string[] = [];
      before(async () => {
        for (let index = 0; index < 5; index += 1) {
          const name = unique(`p${index}`);
          names.push(name);
          await create(
            { name, labels: { set: label, odd: String(index % 2) } },
            { cidr: `10.${index}.0.0/16`, disabled: index === 4 },
          );
        }
      });
      after(async () => {
        for (const name of names) await remove(name);
      });
      const listed = async (query: string): Promise<string[]> => {
        const answer = await get(`${pools}?labelSelector=${encodeURIComponent(`set=${label}`)}${query}`);
        assert.equal(answer.code, 200, answer.body.message);
        return answer.body.items.map((item) => item.metadata.name.slice(0, 2));
      };
      const selected = async (selector: string): Promise<string[]> => {
        const answer = await get(`${pools}?labelSelector=${encodeURIComponent(`set=${label},${selector}`)}`);
        return answer.body.items.map((item) => item.metadata.name.slice(0, 2));
      };

      test('is sorted by name and says the revision', async () => {
        assert.deepEqual(await listed(''), ['p0', 'p1', 'p2', 'p3', 'p4']);
        const { body } = await get(`${pools}?limit=1`);
        assert.deepEqual([body.kind, body.apiVersion], ['IPPoolList', 'manx.network/v1']);
        assert.match(body.metadata.resourceVersion, /^\d+$/);
      });

      const selectors: readonly [string, string[]][] = [
        ['odd=1', ['p1', 'p3']],
        ['odd==1', ['p1', 'p3']],
        ['odd!=1', ['p0', 'p2', 'p4']],
        ['odd in (0,1)', ['p0', 'p1', 'p2', 'p3', 'p4']],
        ['odd notin (1)', ['p0', 'p2', 'p4']],
        ['odd', ['p0', 'p1', 'p2', 'p3', 'p4']],
        ['!odd', []],
        ['odd,odd!=0', ['p1', 'p3']],
      ];
      for (const [selector, expected] of selectors) {
        test(`selects labels by ${selector}`, async () => assert.deepEqual(await selected(selector), expected));
      }

      test('selects by metadata.name and the selectable fields of the CRD, and no others', async () => {
        assert.deepEqual(await listed(`&fieldSelector=metadata.name%3D${names[2]}`), ['p2']);
        assert.deepEqual(await listed('&fieldSelector=spec.disabled%3Dtrue'), ['p4']);
        assert.deepEqual(await listed('&fieldSelector=spec.disabled%21%3Dtrue'), ['p0', 'p1', 'p2', 'p3']);
        assert.deepEqual(await listed('&fieldSelector=spec.cidr%3D10.3.0.0%2F16'), ['p3']);
        assert.equal((await get(`${pools}?fieldSelector=spec.natOutgoing%3Dtrue`)).code, 400);
        assert.equal((await get(`${pools}?labelSelector=a%3D%3D%3Db`)).code, 400);
      });

      test('comes in pages of one state: what is made in between is not in the later ones', async () => {
        const seen: string[] = [];
        let token = '';
        let revision = '';
        do {
          const { code, body } = await get(`${pools}?limit=2&labelSelector=set%3D${label}&continue=${token}`);
          assert.equal(code, 200);
          if (revision === '') {
            revision = body.metadata.resourceVersion;
            names.push(`p9-${run}`);
            await create({ name: `p9-${run}`, labels: { set: label } });
          }
          assert.equal(body.metadata.resourceVersion, revision);
          seen.push(...body.items.map((item) => item.metadata.name.slice(0, 2)));
          token = body.metadata.continue ?? '';
        } while (token !== '');
        assert.deepEqual(seen, ['p0', 'p1', 'p2', 'p3', 'p4']);
        await remove(names.pop() ?? '');
      });

      test('shows a past state for resourceVersionMatch=Exact', async () => {
        const { body } = await get(`${pools}?limit=1`);
        await patch(`${pools}/${names[0]}`, { metadata: { labels: { later: 'yes' } } });
        const past = await get(
          `${pools}?resourceVersion=${body.metadata.resourceVersion}&resourceVersionMatch=Exact&fieldSelector=metadata.name%3D${names[0]}`,
        );
        assert.equal(past.body.items[0]?.metadata.labels?.['later'], undefined);
        const present = await get(
          `${pools}?resourceVersion=${body.metadata.resourceVersion}&fieldSelector=metadata.name%3D${names[0]}`,
        );
        assert.equal(present.body.items[0]?.metadata.labels?.['later'], 'yes');
      });

      test('refuses garbage by name', async () => {
        assert.equal((await get(`${pools}?limit=x`)).code, 400);
        assert.equal((await get(`${pools}?continue=nonsense`)).code, 400);
        assert.equal((await get(`${pools}?resourceVersion=abc`)).code, 400);
        assert.equal((await get(`${pools}?resourceVersion=5&resourceVersionMatch=Nope`)).code, 422);
        assert.equal((await get(`${pools}?resourceVersionMatch=Exact`)).code, 422);
        assert.equal((await get(`${pools}?resourceVersion=99999999999`)).code, 504);
      });
    });

    describe('watch', () => {
      test('without a revision begins with what is there, then goes on live', async () => {
        const label = unique('w');
        const first = unique();
        await create({ name: first, labels: { set: label } });
        const watching = await watch(`${pools}?watch=true&labelSelector=set%3D${label}`);
        assert.deepEqual(await watching.first(1), [`ADDED ${first}`]);
        const second = unique();
        await create({ name: second, labels: { set: label } });
        await remove(first);
        assert.deepEqual(await watching.first(3), [`ADDED ${first}`, `ADDED ${second}`, `DELETED ${first}`]);
        await watching.close();
        await remove(second);
      });

      test('from the revision of a list misses nothing and repeats nothing', async () => {
        const label = unique('w');
        const names = Array.from({ length: 30 }, () => unique());
        const { body } = await get(`${pools}?limit=1`);
        const half = names.slice(0, 15);
        for (const name of half) await create({ name, labels: { set: label } });
        const watching = await watch(
          `${pools}?watch=true&labelSelector=set%3D${label}&resourceVersion=${body.metadata.resourceVersion}`,
        );
        await Promise.all(names.slice(15).map(async (name) => create({ name, labels: { set: label } })));
        const seen = await watching.first(30);
        assert.deepEqual([...seen].sort(), names.map((name) => `ADDED ${name}`).sort());
        const revisions = watching.events.map((event) => Number(event.object.metadata.resourceVersion));
        assert.deepEqual(
          revisions,
          [...revisions].sort((a, b) => a - b),
        );
        await watching.close();
        await call('DELETE', `${pools}?labelSelector=set%3D${label}`);
      });

      test('with a selector turns a change of match into ADDED and DELETED', async () => {
        const label = unique('w');
        const name = unique();
        const made = await create({ name });
        const watching = await watch(
          `${pools}?watch=true&labelSelector=set%3D${label}&resourceVersion=${made.metadata.resourceVersion}`,
        );
        await patch(`${pools}/${name}`, { metadata: { labels: { set: label } } });
        await patch(`${pools}/${name}`, { spec: { disabled: true } });
        await patch(`${pools}/${name}`, { metadata: { labels: { set: null } } });
        assert.deepEqual(await watching.first(3), [`ADDED ${name}`, `MODIFIED ${name}`, `DELETED ${name}`]);
        assert.equal(watching.events[2]?.object.metadata.labels?.['set'], label);
        await watching.close();
        await remove(name);
      });

      test('ends cleanly after timeoutSeconds, with a bookmark before when asked', async () => {
        const name = unique();
        const made = await create({ name });
        const watching = await watch(
          `${pools}?watch=true&allowWatchBookmarks=true&timeoutSeconds=4&resourceVersion=${made.metadata.resourceVersion}`,
        );
        await patch(`${pools}/${name}`, { metadata: { labels: { a: 'b' } } });
        const events = await watching.all();
        assert.equal(events[0], `MODIFIED ${name}`);
        assert.equal(events.at(-1), 'BOOKMARK');
        assert.deepEqual(Object.keys(watching.events.at(-1)?.object.metadata ?? {}), ['resourceVersion']);
        await remove(name);
      });

      test('sendInitialEvents marks the end of the present state', async () => {
        const name = unique();
        await create({ name });
        const watching = await watch(
          `${pools}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3D${name}`,
        );
        assert.deepEqual(await watching.first(2), [`ADDED ${name}`, 'BOOKMARK']);
        assert.equal(watching.events[1]?.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
        await watching.close();
        await remove(name);
      });

      test('from a forgotten revision is an ERROR event 410, not an HTTP error', async () => {
        const watching = await watch(`${pools}?watch=true&resourceVersion=1&timeoutSeconds=2`);
        assert.equal(watching.status, 200);
        assert.deepEqual(await watching.all(), ['ERROR']);
        assert.deepEqual([watching.events[0]?.object.code, watching.events[0]?.object.reason], [410, 'Expired']);
      });

      test('refuses a garbage revision or timeout before it begins', async () => {
        assert.equal((await get(`${pools}?watch=true&resourceVersion=abc`)).code, 500);
        assert.equal((await get(`${pools}?watch=true&timeoutSeconds=abc`)).code, 400);
      });
    });

    describe('forms', () => {
      test('Table has every column with its priority, and a row an object', async () => {
        const name = unique();
        await create({ name });
        const { body } = await get(`${pools}/${name}`, asTable);
        assert.equal(body.kind, 'Table');
        assert.deepEqual(
          body.columnDefinitions.map((column) => column.name),
          ['Name', 'CIDR', 'NAT', 'Ready', 'Block-Size', 'Uses', 'Age'],
        );
        assert.deepEqual(body.rows[0]?.cells.slice(0, 6), [
          name,
          '10.1.0.0/16',
          false,
          null,
          26,
          '["Workload","Tunnel"]',
        ]);
        assert.match(String(body.rows[0]?.cells[6]), /^\d+s$/);
        await remove(name);
      });

      test('unknown kinds, paths and media types are refused each in its way', async () => {
        assert.equal((await get('/apis/manx.network/v1/nosuchkinds')).contentType, 'text/plain; charset=utf-8');
        assert.equal((await get('/api/v1/nosuch')).body.reason, 'NotFound');
        assert.equal((await get('/nosuch')).code, 404);
        assert.equal((await get(pools, 'text/html')).code, 406);
        assert.equal((await call('POST', pools, pool({ name: unique() }), { 'Content-Type': 'text/plain' })).code, 415);
      });

      test('discovery names our kinds in both forms', async () => {
        const legacy = await get('/apis/manx.network/v1');
        const resources = legacy.body['resources'] as readonly { readonly name: string }[];
        assert.ok(resources.some((resource) => resource.name === 'ippools/status'));
        const aggregated = await get('/apis', 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
        assert.equal(aggregated.body.kind, 'APIGroupDiscoveryList');
        assert.ok(aggregated.body.items.some((group) => group.metadata.name === 'manx.network'));
        assert.equal((await get('/version')).body['major'], '1');
      });
    });

    describe('built-in kinds', () => {
      test('a Lease is a lock: the second taker gets 409', async () => {
        const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
        const name = unique('lease');
        const lease = {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name },
          spec: { holderIdentity: 'a' },
        };
        const made = await call('POST', path, lease);
        const take = async (holderIdentity: string): Promise<number> =>
          (await call('PUT', `${path}/${name}`, { ...made.body, spec: { holderIdentity } })).code;
        assert.deepEqual([made.code, await take('b'), await take('c')], [201, 200, 409]);
        await call('DELETE', `${path}/${name}`);
      });

      test('a Secret keeps stringData as base64 data', async () => {
        const path = '/api/v1/namespaces/default/secrets';
        const name = unique('secret');
        const { body } = await call('POST', path, {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name },
          stringData: { k: 'v' },
        });
        assert.deepEqual([body['data'], body['type'], body['stringData']], [{ k: 'dg==' }, 'Opaque', undefined]);
        await call('DELETE', `${path}/${name}`);
      });

      test('a Node takes status through its subresource and an object may be looked up by spec.nodeName', async () => {
        const node = unique('node');
        await call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: node } });
        const status = await patch(`/api/v1/nodes/${node}/status`, {
          status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
        });
        assert.equal(status.code, 200);
        const pod = unique('pod');
        const pods = '/api/v1/namespaces/default/pods';
        const spec = { nodeName: node, containers: [{ name: 'c', image: 'example' }] };
        const made = await call('POST', pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: pod }, spec });
        assert.equal(made.code, 201, made.body.message);
        const list = await get(`/api/v1/pods?fieldSelector=spec.nodeName%3D${node}`);
        assert.deepEqual(
          list.body.items.map((item) => item.metadata.name),
          [pod],
        );
        const marked = await call('DELETE', `${pods}/${pod}`);
        assert.equal(typeof marked.body.metadata.deletionTimestamp, 'string');
        await call('DELETE', `${pods}/${pod}`, { gracePeriodSeconds: 0 });
        assert.equal((await get(`${pods}/${pod}`)).code, 404);
        await call('DELETE', `/api/v1/nodes/${node}`);
      });

      test('a namespaced object needs its namespace', async () => {
        const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name: unique() } };
        assert.equal((await call('POST', '/api/v1/namespaces/nowhere/secrets', body)).code, 404);
        const other = { ...body, metadata: { name: unique(), namespace: 'kube-system' } };
        assert.equal((await call('POST', '/api/v1/namespaces/default/secrets', other)).code, 400);
        assert.deepEqual((await get('/api/v1/namespaces/nowhere/secrets')).body.items, []);
      });
    });
  });
}
