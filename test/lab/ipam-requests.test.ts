// What pods ask of IPAM, through the CNI plugin and real agents: a Pod's and a Namespace's annotations, Manual pools,
// reservations, a rest before re-use. The controls: the same pod without the annotation, and the address somebody has.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { containsIp, parseIp, parsePrefix } from '#net';
import { createLabClient, type LabClient } from '../../src/lab/client.ts';
import { labDown, labUp } from '../../src/lab/lab.ts';
import { addPod, deletePod } from '../../src/lab/pods.ts';
import { waitFor } from '../../src/lab/processes.ts';
import { needRoot } from '../support/need.ts';

const lab = `i${process.pid % 100000}`;
const need = needRoot('ip', 'bird', 'nft', 'ping');
const apis = '/apis/manx.network/v1';

function isIn(cidr: string, ip: string | undefined): boolean {
  return ip !== undefined && containsIp(parsePrefix(cidr), parseIp(ip));
}

describe('pods that ask for addresses', { ...need, concurrency: false }, () => {
  let nodes: readonly string[] = [];
  let client: LabClient;
  let count = 0;

  /** The addresses a pod with these annotations gets, on node 0 or 1. */
  async function addressesOf(annotations: Readonly<Record<string, string>>, node = 0): Promise<readonly string[]> {
    const name = `p${(count += 1)}`;
    return (await addPod(lab, name, { node: nodes[node] ?? '', annotations })).addresses;
  }

  async function create(kind: string, name: string, spec: object): Promise<void> {
    const object = { apiVersion: 'manx.network/v1', kind, metadata: { name }, spec };
    await client.create(`${apis}/${kind.toLowerCase()}s`, object);
  }

  before(async () => {
    const topology = await labUp({ name: lab, racks: 1, nodesPerRack: 2 }, () => undefined);
    nodes = topology.nodes.map((node) => node.name);
    client = await createLabClient(lab);
    await create('IPPool', 'db', { cidr: '10.99.0.0/24', blockSize: 28, assignmentMode: 'Manual' });
    const ranges = ['10.99.0.0/25', '10.99.0.128/26'];
    await create('IPReservation', 'low', { reservedCIDRs: ranges });
    await waitFor(
      'the Manual pool to reach the agents',
      () => addressesOf({ 'manx.network/ipv4pools': '["db"]' }).catch(() => undefined),
      10_000,
    );
  });

  after(async () => {
    await labDown(lab);
  });

  test('a pod gets the very addresses it asks for; the next one is told who has them', async () => {
    const annotations = { 'manx.network/ipAddrs': '["10.64.77.7","fd00:64::77"]' };
    assert.deepEqual(await addressesOf(annotations), ['10.64.77.7', 'fd00:64::77']);
    await assert.rejects(
      addressesOf(annotations, 1),
      /10\.64\.77\.7 is held by pod default\/p\d+ on node .*CNI code 102/,
    );
    await assert.rejects(addressesOf({ 'manx.network/ipAddrs': '10.64.77.9' }), /expected a JSON list/);
  });

  test('a Manual pool serves who asks for it, past what is reserved, and nobody else', async () => {
    const [asked] = await addressesOf({ 'cni.projectcalico.org/ipv4pools': '["10.99.0.0/24"]' }, 1);
    assert.ok(isIn('10.99.0.192/26', asked), asked);
    const [plain] = await addressesOf({}, 1);
    assert.ok(isIn('10.64.0.0/16', plain), plain);
    await assert.rejects(
      addressesOf({ 'manx.network/ipv4pools': '["nope"]' }),
      /pool nope, which the request asks for/,
    );
  });

  test('a reserved address is for who asks for it by name', async () => {
    const [ip] = await addressesOf({ 'manx.network/ipAddrs': '["10.99.0.9"]' });
    assert.equal(ip, '10.99.0.9');
  });

  test('the annotation of the Namespace counts, that of the Pod counts more', async () => {
    const annotate = async (value: string | null): Promise<void> => {
      const patch = { metadata: { annotations: { 'manx.network/ipv4pools': value } } };
      await client.mergePatch('/api/v1/namespaces/default', patch);
    };
    await annotate('["db"]');
    await waitFor(
      'the annotation to reach the agent',
      async () => isIn('10.99.0.0/24', (await addressesOf({}))[0]) || undefined,
      10_000,
    );
    const [own] = await addressesOf({ 'manx.network/ipv4pools': '["default-ipv4"]' });
    assert.ok(isIn('10.64.0.0/16', own), own);
    await annotate(null);
  });

  test('a released address rests before it is used again', async () => {
    await create('IPAMConfiguration', 'default', { ipCooldownSeconds: 1200 });
    const small = { 'manx.network/ipv4pools': '["tiny"]' };
    await create('IPPool', 'tiny', { cidr: '10.97.0.0/31', blockSize: 31, assignmentMode: 'Manual' });
    const place = { node: nodes[0] ?? '', annotations: small };
    const first = await waitFor('a pod', () => addPod(lab, 'rest1', place).catch(() => undefined), 10_000, 300);
    await deletePod(lab, 'rest1');
    const second = await addPod(lab, 'rest2', place);
    assert.notEqual(second.addresses[0], first.addresses[0]);
    await assert.rejects(addPod(lab, 'rest3', place), /no IPv4 address is free/);
    const again = { ...place, annotations: { 'manx.network/ipAddrs': `["${first.addresses[0]}"]` } };
    assert.equal((await addPod(lab, 'rest4', again)).addresses[0], first.addresses[0]);
  });
});
