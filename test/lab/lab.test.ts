// The lab end to end: two racks of two nodes, real agents, BIRD routers, pods wired by executing the CNI plugin. Everything
// is read from kernels, the wire and BIRD; each "it works" has its negative control.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { birdCommand } from '../../src/lab/bird.ts';
import { createLabClient } from '../../src/lab/client.ts';
import {
  killClaim,
  ownBlocks,
  reachabilityClaims,
  removalClaim,
  repairClaim,
  routesClaim,
  sessionsClaim,
  sourceClaim,
} from '../../src/lab/demo/claims.ts';
import { acrossRacks, setStage, type Stage } from '../../src/lab/demo/stage.ts';
import { isNodeReady, labDown, labUp, torSocket } from '../../src/lab/lab.ts';
import { listNamespaces } from '../../src/lab/namespaces.ts';
import { addPod, deletePod } from '../../src/lab/pods.ts';
import { answered, streamBetween } from '../../src/lab/probes.ts';
import { findProcess, signalProcess, waitFor } from '../../src/lab/processes.ts';
import { labPaths } from '../../src/lab/state.ts';
import { needRoot } from '../support/need.ts';

const lab = `t${process.pid % 100000}`;
const need = needRoot('ip', 'bird', 'nft', 'ping');

/** What a lab must not touch in the host namespace. */
async function hostState(): Promise<string> {
  const links = await execa('ip', ['-o', 'link']);
  const routes = await execa('ip', ['route', 'show', 'table', 'all']);
  const names = links.stdout.split('\n').map((line) => line.split(':')[1]?.trim());
  return [names.join(' '), routes.stdout, readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')].join('\n');
}

describe('a lab of two racks', { ...need, concurrency: false }, () => {
  let stage: Stage;
  let hostBefore = '';

  before(async () => {
    hostBefore = await hostState();
    const topology = await labUp({ name: lab, racks: 2, nodesPerRack: 2 }, () => undefined);
    ({ stage } = await setStage(lab, topology, 2));
  });

  after(async () => {
    await labDown(lab);
  });

  test('every session is Established, by the account of BIRD and of the nodes', async () => {
    const claim = await sessionsClaim(stage);
    assert.ok(claim.holds, claim.detail);
  });

  test('every block of every node is a BGP route in every ToR', async () => {
    const claim = await routesClaim(stage);
    assert.ok(claim.holds, claim.detail);
  });

  test('pods, nodes and ToRs reach every pod, and pods every node, in both families', async () => {
    for (const claim of await reachabilityClaims(stage)) assert.ok(claim.holds, `${claim.title}: ${claim.detail}`);
  });

  test('a receiver in another rack sees the address of the pod that sent', async () => {
    const claim = await sourceClaim(stage);
    assert.ok(claim.holds, claim.detail);
  });

  test('negative control: with BGP stopped on a ToR pods of different racks cannot talk, and with it started they can', async () => {
    const [from, to] = acrossRacks(stage);
    const tor = stage.topology.tors[0]?.name ?? '';
    const probe = async (): Promise<number> => await answered(from, to.addresses[0] ?? '', 3);
    assert.equal(await probe(), 3);
    await birdCommand(torSocket(lab, tor), 'disable all');
    await waitFor('the routes to go', async () => ((await probe()) === 0 ? true : undefined), 10_000);
    await birdCommand(torSocket(lab, tor), 'enable all');
    await waitFor('the routes to come back', async () => ((await probe()) === 3 ? true : undefined), 30_000);
  });

  test('an agent killed with SIGKILL under 100 packets a second loses none', async () => {
    await sessionsClaim(stage);
    const claim = await killClaim(stage);
    assert.ok(claim.holds, claim.detail);
  });

  test('an agent stopped with SIGTERM and started again loses none', async () => {
    const claim = await killClaim(stage, 'SIGTERM');
    assert.ok(claim.holds, claim.detail);
  });

  test('a learned route deleted by hand comes back', async () => {
    const claim = await repairClaim(stage);
    assert.ok(claim.holds, claim.detail);
  });

  test('the API server killed and restarted: objects are still there, pods start again, traffic never stops', async () => {
    const client = await createLabClient(lab);
    const blocks = (await ownBlocks(stage)).map((block) => block.cidr).toSorted();
    const [from, to] = acrossRacks(stage);
    const stream = streamBetween(from, to, { address: to.addresses[1] ?? '', seconds: 4 });
    await delay(500);
    const old = signalProcess(lab, 'apiserver', 'SIGKILL');
    await waitFor(
      'a new API server',
      () => (findProcess(lab, 'apiserver')?.pid === old ? undefined : client.isReady()),
      15_000,
    );
    assert.deepEqual((await ownBlocks(stage)).map((block) => block.cidr).toSorted(), blocks);
    const { sent, returned } = await stream;
    assert.equal(sent - returned, 0);
    const pod = await waitFor(
      'a pod',
      () => addPod(lab, 'afterapi', stage.topology.nodes[0]?.name ?? '').catch(() => undefined),
      30_000,
      500,
    );
    assert.equal(pod.addresses.length, 2);
    await deletePod(lab, 'afterapi');
  });

  test('a deleted pod gives its addresses back and leaves nothing in the kernel of its node', async () => {
    const node = stage.topology.nodes[0];
    assert.ok(node !== undefined);
    const pod = await addPod(lab, 'shortlived', node.name);
    await deletePod(lab, 'shortlived');
    const routes = await execa('ip', ['-n', node.netns, 'route', 'show', 'exact', `${pod.addresses[0]}/32`]);
    assert.equal(routes.stdout, '');
    const client = await createLabClient(lab);
    const blocks = JSON.stringify(await client.list('/apis/manx.network/v1/ipamblocks'));
    assert.ok(!blocks.includes(pod.name), 'the block still names the pod');
  });

  test('a removed node: its prefixes leave every other kernel', async () => {
    const claim = await removalClaim(stage);
    assert.ok(claim.holds, claim.detail);
    const client = await createLabClient(lab);
    const old = signalProcess(lab, 'apiserver', 'SIGKILL');
    await waitFor(
      'an API server without the removed namespace',
      () => (findProcess(lab, 'apiserver')?.pid === old ? undefined : client.isReady()),
      15_000,
    );
  });

  test('down removes every namespace, process and file, and the host namespace is as it was', async () => {
    const pids = ['apiserver', ...stage.topology.nodes.map((node) => node.name)].map(
      (name) => findProcess(lab, name)?.pid,
    );
    assert.equal(await labDown(lab), true);
    assert.deepEqual(await listNamespaces(lab), []);
    assert.equal(existsSync(labPaths(lab).dir), false);
    for (const pid of pids)
      if (pid !== undefined) assert.equal(existsSync(`/proc/${pid}`), false, `pid ${pid} still runs`);
    assert.equal(await hostState(), hostBefore);
    assert.equal(isNodeReady(lab, 'node11'), false);
    assert.equal(await labDown(lab), false);
  });
});
