// Brings a lab up and down: preflight, network, API server, objects, routers, agents and the controller, in that order;
// down in reverse.
// A failure half way removes what was made before it is reported.
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { birdConfig } from './bird.ts';
import { createLabClient, createObjects } from './client.ts';
import { applyNetwork, listNamespaces, removeNetwork } from './namespaces.ts';
import { initialObjects, kubeconfigText } from './objects.ts';
import { checkHost } from './preflight.ts';
import { findProcess, isSupervisor, runProcesses, startSupervisor, stopSupervisor, waitFor } from './processes.ts';
import { readNetworkList } from './runtime.ts';
import { hostDir, labPaths, makeLabDirs, readState, removeLabDir, writeJson, type ProcessSpec } from './state.ts';
import { planTopology, type LabNode, type LabSpec, type LabTor, type Topology } from './topology.ts';

/** Told each step as it begins, for a progress line. */
export type Progress = (step: string) => void;

export class LabError extends Error {}

/** A lab of that name is up: it is someone's, and stays as it is. */
export class LabBusyError extends LabError {}

const sourceFile = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export interface NodeDirs {
  readonly state: string;
  readonly run: string;
  readonly confDir: string;
  readonly binDir: string;
}

export function nodeDirs(lab: string, node: string): NodeDirs {
  const dir = hostDir(lab, node);
  return {
    state: join(dir, 'state'),
    run: join(dir, 'run'),
    confDir: join(dir, 'cni/net.d'),
    binDir: join(dir, 'cni/bin'),
  };
}

export function torSocket(lab: string, tor: string): string {
  return join(hostDir(lab, tor), 'bird.ctl');
}

function agentProcess(lab: string, node: LabNode): ProcessSpec {
  const dirs = nodeDirs(lab, node.name);
  return {
    name: node.name,
    netns: node.netns,
    argv: [process.execPath, sourceFile('../agent/main.ts')],
    env: {
      MANX_NODE_NAME: node.name,
      MANX_KUBECONFIG: labPaths(lab).kubeconfig,
      MANX_STATE_DIR: dirs.state,
      MANX_RUN_DIR: dirs.run,
      MANX_CNI_CONF_DIR: dirs.confDir,
      MANX_CNI_BIN_DIR: dirs.binDir,
      MANX_NODE_STATUS_INTERVAL: '1s',
    },
  };
}

function torProcess(lab: string, tor: LabTor): ProcessSpec {
  const dir = hostDir(lab, tor.name);
  return {
    name: tor.name,
    netns: tor.netns,
    argv: ['bird', '-f', '-c', join(dir, 'bird.conf'), '-s', torSocket(lab, tor.name), '-P', join(dir, 'bird.pid')],
    env: {},
  };
}

function apiProcess(lab: string, topology: Topology, port: number): ProcessSpec {
  const crds = sourceFile('../../crds');
  const namespaces = topology.nodes.flatMap((node) => ['--netns', node.netns]);
  return {
    name: 'apiserver',
    netns: undefined,
    argv: [
      process.execPath,
      sourceFile('./apiserver/main.ts'),
      '--port',
      String(port),
      '--data-dir',
      labPaths(lab).api,
      '--crds',
      crds,
      ...namespaces,
    ],
    env: {},
  };
}

/** Short enough to watch: what a removed node held is freed while one looks. */
const leakGracePeriod = '10s';

function controllerProcess(lab: string, port: number): ProcessSpec {
  return {
    name: 'controller',
    netns: undefined,
    argv: [process.execPath, sourceFile('../controller/main.ts')],
    env: {
      MANX_KUBECONFIG: labPaths(lab).kubeconfig,
      MANX_METRICS_ADDRESS: `127.0.0.1:${port}`,
      MANX_LEAK_GRACE_PERIOD: leakGracePeriod,
    },
  };
}

/** A port that is free on loopback now; the same number is then free in the lab's own, empty namespaces too. */
async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new LabError('no port')),
      );
    });
  });
}

/** A small script so that people (and the demo's hints) can call the CLI with the Node this lab runs on. */
function writeCliScript(lab: string): void {
  const script = `#!/bin/sh\nexec "${process.execPath}" "${sourceFile('../cli/main.ts')}" "$@"\n`;
  writeFileSync(labPaths(lab).cli, script, { mode: 0o755 });
}

async function prepare(spec: LabSpec): Promise<{ topology: Topology; port: number }> {
  const topology = planTopology(spec);
  const state = readState(spec.name);
  if (state?.supervisorPid !== undefined && isSupervisor(spec.name, state.supervisorPid)) {
    throw new LabBusyError(
      `lab "${spec.name}" is up already: \`manxctl lab down --name ${spec.name}\` first, or choose another --name`,
    );
  }
  await labDown(spec.name);
  makeLabDirs(
    spec.name,
    [...topology.nodes, ...topology.tors].map((host) => host.name),
  );
  const port = await freePort();
  writeFileSync(labPaths(spec.name).kubeconfig, kubeconfigText(port), { mode: 0o600 });
  for (const tor of topology.tors)
    writeFileSync(join(hostDir(spec.name, tor.name), 'bird.conf'), birdConfig(tor, topology));
  writeCliScript(spec.name);
  return { topology, port };
}

async function startControlPlane(topology: Topology, port: number): Promise<void> {
  const { spec } = topology;
  const supervisorPid = await startSupervisor(spec.name);
  const controllerPort = await freePort();
  writeJson(labPaths(spec.name).state, { spec, apiPort: port, controllerPort, supervisorPid, removedNodes: [] });
  await runProcesses(spec.name, [apiProcess(spec.name, topology, port)]);
  const client = await createLabClient(spec.name);
  await waitFor('the API server', () => client.isReady());
  await createObjects(client, initialObjects(topology));
}

/** True when the agent of a node has installed its CNI configuration, which is how a kubelet learns that it may start pods. */
export function isNodeReady(lab: string, node: string): boolean {
  return readNetworkList(nodeDirs(lab, node).confDir) !== undefined && findProcess(lab, node) !== undefined;
}

/** Builds a lab and returns when every agent is ready to wire pods. On a failure nothing half made stays behind. */
export async function labUp(spec: LabSpec, progress: Progress): Promise<Topology> {
  await checkHost();
  const { topology, port } = await prepare(spec);
  try {
    progress(`network: ${topology.tors.length} racks, ${topology.nodes.length} nodes`);
    await applyNetwork(topology);
    progress('API server and objects');
    await startControlPlane(topology, port);
    progress(`routers (BIRD), agents and the controller`);
    await runProcesses(
      spec.name,
      topology.tors.map((tor) => torProcess(spec.name, tor)),
    );
    await runProcesses(
      spec.name,
      topology.nodes.map((node) => agentProcess(spec.name, node)),
    );
    // Last, as nothing waits for it: the nodes serve pods without.
    await runProcesses(spec.name, [controllerProcess(spec.name, readState(spec.name)?.controllerPort ?? 0)]);
    await waitFor(
      'every agent to be ready',
      () => (topology.nodes.every((node) => isNodeReady(spec.name, node.name)) ? true : undefined),
      60_000,
    );
  } catch (error) {
    const log = labPaths(spec.name).logs;
    if (process.env['MANX_LAB_KEEP_FAILED'] === undefined) await labDown(spec.name);
    else progress(`kept for a look: ${log}`);
    throw error;
  }
  return topology;
}

/** Removes a lab and every leftover of it. True when there was something to remove. */
export async function labDown(lab: string): Promise<boolean> {
  const found = existsSync(labPaths(lab).dir) || (await listNamespaces(lab)).length > 0;
  await stopSupervisor(lab);
  // Again while something is left: a pod that was being made when we began may have brought one more namespace.
  for (let tries = 0; tries < 5; tries += 1) {
    await removeNetwork(lab);
    if ((await listNamespaces(lab)).length === 0) break;
  }
  removeLabDir(lab);
  return found;
}

/** The topology of a lab that is up. Throws LabError when there is none. */
export function requireLab(lab: string): Topology {
  const state = readState(lab);
  if (state === undefined) throw new LabError(`no lab "${lab}" here: \`manxctl lab up\` makes one`);
  const topology = planTopology(state.spec);
  return { ...topology, nodes: topology.nodes.filter((node) => !state.removedNodes.includes(node.name)) };
}

export function requireNode(topology: Topology, name: string): LabNode {
  const node = topology.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  throw new LabError(`no node "${name}" in this lab; nodes: ${topology.nodes.map((each) => each.name).join(', ')}`);
}
