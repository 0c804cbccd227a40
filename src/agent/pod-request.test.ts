// What a pod asks for, by table: which annotation counts, what is refused, and what one look-up costs.
import { deepEqual, equal, match, rejects, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { isIpamError, type Pool } from '#ipam';
import { KubeError, type KubeClient } from '#kube';
import { parseIp, parsePrefix } from '#net';
import type { NamespaceObject, PoolObject } from './cluster-view.ts';
import { createPodLookup } from './pod-lookup.ts';
import { addressRequest, type NodePools, type RequestSources } from './pod-request.ts';
import { ipamPools } from './pools.ts';

function pool(name: string, cidr: string, more: Partial<PoolObject> = {}): PoolObject {
  return {
    name,
    cidr: parsePrefix(cidr),
    blockSize: cidr.includes(':') ? 122 : 26,
    disabled: false,
    natOutgoing: false,
    disableBGPExport: false,
    nodeSelector: 'all()',
    namespaceSelector: undefined,
    automatic: true,
    workloads: true,
    terminating: false,
    createdAt: '',
    ...more,
  };
}

const self = { name: 'a', labels: {}, annotations: {}, internalIps: [] };

function nodeOf(...objects: readonly PoolObject[]): NodePools {
  const addresses = { 4: parseIp('192.0.2.1'), 6: parseIp('2001:db8::1') };
  return { objects, pools: ipamPools(objects, self), addresses };
}

const web = pool('web', '10.64.0.0/16');
const web6 = pool('web6', 'fd00:64::/48');
const both = nodeOf(web, web6);

function namespace(more: Partial<NamespaceObject> = {}): NamespaceObject {
  return { name: 'default', labels: {}, annotations: {}, ...more };
}

function ask(sources: Partial<RequestSources>, node = both) {
  const request = addressRequest({ pod: {}, namespace: namespace(), configured: {}, ...sources }, node);
  return {
    families: request.families,
    addresses: request.addresses,
    4: request.pools?.[4]?.requested,
    6: request.pools?.[6]?.requested,
  };
}

const plain = { families: [4, 6], addresses: [], 4: undefined, 6: undefined };
const rows: readonly { name: string; sources: Partial<RequestSources>; expected: object }[] = [
  { name: 'nothing asked is any address of each family', sources: {}, expected: plain },
  {
    name: 'ipAddrs are canonical addresses; the other family stays as it is',
    sources: { pod: { 'manx.network/ipAddrs': '["FD00:64::7"]' } },
    expected: { ...plain, addresses: ['fd00:64::7'] },
  },
  {
    name: 'Calico’s prefix is read too',
    sources: { pod: { 'cni.projectcalico.org/ipAddrs': '["10.64.0.7"]' } },
    expected: { ...plain, addresses: ['10.64.0.7'] },
  },
  {
    name: 'our prefix counts before Calico’s',
    sources: { pod: { 'cni.projectcalico.org/ipv4pools': '["a"]', 'manx.network/ipv4pools': '["b"]' } },
    expected: { ...plain, 4: ['b'] },
  },
  {
    name: 'the pod counts before its namespace, that before the CNI configuration, each family by itself',
    sources: {
      pod: { 'manx.network/ipv4pools': '["pod"]' },
      namespace: namespace({
        annotations: { 'manx.network/ipv4pools': '["namespace"]', 'cni.projectcalico.org/ipv6pools': '["namespace6"]' },
      }),
      configured: { 4: ['conf'], 6: ['conf6'] },
    },
    expected: { ...plain, 4: ['pod'], 6: ['namespace6'] },
  },
  {
    name: 'the CNI configuration counts when nobody else says anything',
    sources: { configured: { 4: ['conf'] } },
    expected: { ...plain, 4: ['conf'] },
  },
  {
    name: 'ipAddrs of a namespace mean nothing: one address cannot be many pods’',
    sources: { namespace: namespace({ annotations: { 'manx.network/ipAddrs': '["10.64.0.7"]' } }) },
    expected: plain,
  },
];
for (const row of rows) test(row.name, () => deepEqual(ask(row.sources), row.expected));

const faults = [
  ['no JSON', 'ipAddrs', '10.64.0.7', /manx\.network\/ipAddrs: "10\.64\.0\.7", expected a JSON list of text/],
  ['an empty list', 'ipv4pools', '[]', /manx\.network\/ipv4pools: "\[\]", expected a JSON list/],
  ['a list of numbers', 'ipv6pools', '[1]', /manx\.network\/ipv6pools/],
  ['no address', 'ipAddrs', '["web"]', /manx\.network\/ipAddrs: "web"/],
  [
    'two addresses of a family',
    'ipAddrs',
    '["10.64.0.7","10.64.0.8"]',
    /10\.64\.0\.7 and 10\.64\.0\.8, expected at most/,
  ],
] as const;
for (const [name, key, text, message] of faults) {
  test(`an annotation with ${name} is refused by name`, () => {
    throws(
      () => ask({ pod: { [`manx.network/${key}`]: text } }),
      (error: unknown) => {
        equal(isIpamError(error, 'INVALID_REQUEST'), true);
        match(String(error), message);
        return true;
      },
    );
  });
}

test('a family this node has no address of cannot be asked for', () => {
  const node = { ...both, addresses: { 4: parseIp('192.0.2.1') } };
  throws(() => ask({ pod: { 'manx.network/ipv6pools': '["web6"]' } }, node), /asks for an IPv6 address, and this node/);
  deepEqual(ask({}, node).families, [4]);
});

test('a family whose only pool is Manual is served to those who ask for it alone', () => {
  const node = nodeOf(web, pool('six', 'fd00:65::/48', { automatic: false }));
  deepEqual(ask({}, node).families, [4]);
  deepEqual(ask({ pod: { 'manx.network/ipv6pools': '["six"]' } }, node).families, [4, 6]);
});

test('pools whose namespaceSelector does not match are left out, and the reason is said', () => {
  const node = nodeOf(web, pool('team', '10.65.0.0/16', { namespaceSelector: "team == 'a'" }));
  const reasonFor = (labels: Readonly<Record<string, string>>): string | undefined => {
    const request = addressRequest({ pod: {}, namespace: namespace({ labels }), configured: {} }, node);
    return request.pools?.[4]?.whyNot?.({ name: 'team' } as Pool);
  };
  equal(reasonFor({ team: 'a' }), undefined);
  equal(reasonFor({}), 'does not select namespace default');
});

test('when the namespace has no pool, one family is asked for all the same, so that the error says why', () => {
  const node = nodeOf(pool('team', '10.65.0.0/16', { namespaceSelector: "team == 'a'" }));
  deepEqual(ask({}, node).families, [4]);
});

/** A client that knows some objects and notes what it is asked. */
function clientOf(objects: Readonly<Record<string, object>>, calls: string[]): KubeClient {
  const find = async (resource: { plural: string }, name: string): Promise<unknown> => {
    calls.push(`${resource.plural}/${name}`);
    const object = objects[`${resource.plural}/${name}`];
    if (object instanceof Error) throw object;
    return object;
  };
  return { find } as unknown as KubeClient;
}

const signal = new AbortController().signal;
const podName = { namespace: 'default', name: 'web-0' };

test('a look-up is one call: the Pod; its namespace comes from memory', async () => {
  const calls: string[] = [];
  const annotations = { 'manx.network/ipAddrs': '["10.64.0.7"]' };
  const object = { metadata: { namespace: 'default', name: 'web-0', annotations } };
  const known = namespace();
  const lookUp = createPodLookup(clientOf({ 'pods/web-0': object }, calls), { namespace: () => known });
  deepEqual(await lookUp(podName, signal), { pod: annotations, namespace: known });
  deepEqual(calls, ['pods/web-0']);
});

test('a namespace that is too new for memory is read; a Pod that is not there asks for nothing', async () => {
  const calls: string[] = [];
  const object = { metadata: { name: 'default', labels: { team: 'a' } } };
  const lookUp = createPodLookup(clientOf({ 'namespaces/default': object }, calls), { namespace: () => undefined });
  deepEqual(await lookUp(podName, signal), { pod: {}, namespace: namespace({ labels: { team: 'a' } }) });
  deepEqual(calls, ['pods/web-0', 'namespaces/default']);
});

test('a Pod that cannot be read fails the request for now: it may ask for an address', async () => {
  const away = new KubeError('GET /api/v1: no answer', { code: 'API_UNREACHABLE' });
  const lookUp = createPodLookup(clientOf({ 'pods/web-0': away }, []), { namespace: () => namespace() });
  await rejects(lookUp(podName, signal), (error: unknown) => {
    equal(isIpamError(error, 'UNAVAILABLE'), true);
    match(String(error), /pod default\/web-0 asks for cannot be read: GET/);
    return true;
  });
});
