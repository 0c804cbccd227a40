// A container runtime reduced to its network duties: makes a pod's namespace and executes the CNI plugins of the node's
// configuration exactly as containerd does (CNI specification 1.1 §3, §4: environment, network configuration on stdin,
// previous result handed from plugin to plugin, DEL in reverse order).
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { removeNamespace } from './namespaces.ts';

export interface RuntimeNode {
  /** Network namespace of the node, where the runtime and the plugins run. */
  readonly netns: string;
  readonly confDir: string;
  readonly binDir: string;
}

export interface Sandbox {
  readonly containerId: string;
  readonly netns: string;
  readonly podNamespace: string;
  readonly podName: string;
}

type Json = Readonly<Record<string, unknown>>;

interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly Json[];
}

/** A plugin refused or failed; the message names the plugin, the CNI code and its words. */
class CniError extends Error {
  readonly code: number;
  constructor(message: string, code: number) {
    super(message);
    this.code = code;
  }
}

/** The first configuration by file name, as kubelet and containerd choose; undefined while the node has none. */
export function readNetworkList(confDir: string): NetworkList | undefined {
  let names: string[];
  try {
    names = readdirSync(confDir);
  } catch {
    return undefined;
  }
  const [first] = names.filter((name) => name.endsWith('.conflist')).toSorted();
  if (first === undefined) return undefined;
  const parsed: unknown = JSON.parse(readFileSync(join(confDir, first), 'utf8'));
  return parsed as NetworkList;
}

function environment(verb: string, node: RuntimeNode, sandbox: Sandbox): Record<string, string> {
  return {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: sandbox.containerId,
    CNI_NETNS: `/run/netns/${sandbox.netns}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: node.binDir,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${sandbox.podNamespace};K8S_POD_NAME=${sandbox.podName};K8S_POD_INFRA_CONTAINER_ID=${sandbox.containerId}`,
  };
}

function cniFailure(type: string, verb: string, stdout: string, stderr: string): CniError {
  try {
    const body: unknown = JSON.parse(stdout);
    if (typeof body === 'object' && body !== null && 'msg' in body && 'code' in body) {
      return new CniError(`${type} ${verb}: ${String(body.msg)} (CNI code ${String(body.code)})`, Number(body.code));
    }
  } catch {
    // Not the spec's error object: say what it wrote instead.
  }
  return new CniError(`${type} ${verb}: ${stderr.trim() || stdout.trim() || 'failed without a word'}`, 999);
}

async function runPlugin(
  verb: string,
  node: RuntimeNode,
  call: { sandbox: Sandbox; config: Json },
): Promise<Json | undefined> {
  const type = String(call.config['type']);
  const done = await execa('ip', ['netns', 'exec', node.netns, join(node.binDir, type)], {
    env: environment(verb, node, call.sandbox),
    input: JSON.stringify(call.config),
    reject: false,
  });
  const stdout = done.stdout;
  if (done.exitCode !== 0) throw cniFailure(type, verb, stdout, done.stderr);
  if (stdout.trim() === '') return undefined;
  const parsed: unknown = JSON.parse(stdout);
  return parsed as Json;
}

function pluginConfig(list: NetworkList, plugin: Json, prevResult: Json | undefined): Json {
  return {
    ...plugin,
    cniVersion: list.cniVersion,
    name: list.name,
    ...(prevResult === undefined ? {} : { prevResult }),
  };
}

function requireNetworkList(node: RuntimeNode): NetworkList {
  const list = readNetworkList(node.confDir);
  if (list === undefined)
    throw new CniError(`no CNI network configuration in ${node.confDir}: the agent is not ready`, 11);
  return list;
}

/** ADD through every plugin of the list; gives the last result. A failed ADD is followed by DEL, as runtimes do. */
export async function addNetwork(node: RuntimeNode, sandbox: Sandbox): Promise<Json> {
  const list = requireNetworkList(node);
  let result: Json | undefined;
  try {
    for (const plugin of list.plugins) {
      result = await runPlugin('ADD', node, { sandbox, config: pluginConfig(list, plugin, result) });
    }
  } catch (error) {
    await deleteNetwork(node, sandbox).catch(() => undefined);
    throw error;
  }
  return result ?? {};
}

/** DEL in reverse order. */
export async function deleteNetwork(node: RuntimeNode, sandbox: Sandbox): Promise<void> {
  const list = requireNetworkList(node);
  for (const plugin of list.plugins.toReversed()) {
    await runPlugin('DEL', node, { sandbox, config: pluginConfig(list, plugin, undefined) });
  }
}

/** Makes the namespace of a sandbox with its loopback up. */
export async function makeSandbox(
  netns: string,
  pod: { readonly namespace: string; readonly name: string },
): Promise<Sandbox> {
  const made = await execa('ip', ['netns', 'add', netns], { reject: false });
  if (made.exitCode !== 0) throw new CniError(`network namespace ${netns}: ${made.stderr.trim()}`, 999);
  await execa('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  return { containerId: randomBytes(32).toString('hex'), netns, podNamespace: pod.namespace, podName: pod.name };
}

export async function removeSandbox(sandbox: Sandbox): Promise<void> {
  await removeNamespace(sandbox.netns);
}

/** Addresses in a CNI result, without their lengths. */
export function resultAddresses(result: Json): readonly string[] {
  const ips = result['ips'];
  if (!Array.isArray(ips)) return [];
  return ips.map((entry: unknown) =>
    typeof entry === 'object' && entry !== null && 'address' in entry ? String(entry.address).replace(/\/.*/, '') : '',
  );
}
