// The controller in a lab of one rack: real agents claim and assign, and what they leave behind is taken back.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createLabClient, type LabClient } from '../../src/lab/client.ts';
import { labDown, labUp } from '../../src/lab/lab.ts';
import { removeNode } from '../../src/lab/nodes.ts';
import { addPod } from '../../src/lab/pods.ts';
import { findProcess, signalProcess, waitFor } from '../../src/lab/processes.ts';
import { labStatus } from '../../src/lab/status.ts';
import { needRoot } from '../support/need.ts';

const lab = `c${process.pid % 100000}`;
const need = needRoot('ip', 'bird', 'nft');
const group = '/apis/manx.network/v1';

describe('the controller of a lab', { ...need, concurrency: false }, () => {
  let client: LabClient;

  before(async () => {
    await labUp({ name: lab, racks: 1, nodesPerRack: 2 }, () => undefined);
    client = await createLabClient(lab);
  });

  after(async () => {
    await labDown(lab);
  });

  const blocksNaming = async (text: string): Promise<number> =>
    (await client.list(`${group}/ipamblocks`)).filter((block) => JSON.stringify(block).includes(text)).length;

  const controllerState = async (): Promise<boolean | undefined> =>
    (await labStatus(lab)).hosts.find((host) => host.kind === 'controller')?.ready;

  test('runs beside the API server, and status shows it ready', async () => {
    assert.equal(
      await waitFor('the controller', async () => ((await controllerState()) === true ? true : undefined)),
      true,
    );
  });

  test('a pod is counted in the pools of both families', async () => {
    await addPod(lab, 'counted', 'node11');
    const counted = async (): Promise<true | undefined> => {
      const pools = await client.list(`${group}/ippools`);
      return pools.length === 2 && pools.every((pool) => /"addressesInUse":1\b/.test(JSON.stringify(pool)))
        ? true
        : undefined;
    };
    await waitFor('the count', counted);
  });

  test('a Pod object that goes without a DEL: its addresses are freed in both families, those of others stay', async () => {
    await addPod(lab, 'lost', 'node11');
    assert.equal(await blocksNaming('"lost"'), 2);
    await client.remove('/api/v1/namespaces/default/pods/lost?gracePeriodSeconds=0');
    await waitFor('the addresses to be freed', async () => ((await blocksNaming('"lost"')) === 0 ? true : undefined));
    assert.equal(await blocksNaming('"counted"'), 2);
  });

  test('a node removed while the controller is away: its blocks and affinities vanish, those of the other node stay', async () => {
    const old = signalProcess(lab, 'controller', 'SIGKILL');
    await removeNode(lab, 'node12');
    await waitFor('a new controller', () => (findProcess(lab, 'controller')?.pid === old ? undefined : true));
    const cleared = async (): Promise<true | undefined> => {
      const objects = [
        ...(await client.list(`${group}/ipamblocks`)),
        ...(await client.list(`${group}/blockaffinities`)),
      ];
      return JSON.stringify(objects).includes('node12') ? undefined : true;
    };
    await waitFor('the blocks of node12 to go', cleared, 60_000);
    assert.equal(await blocksNaming('host:node11'), 2);
    assert.equal((await client.list(`${group}/blockaffinities`)).length, 2);
  });
});
