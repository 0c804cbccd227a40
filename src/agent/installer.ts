// Puts the CNI plugin and its network configuration where the container runtime looks.
//
// The configuration appears only when the agent is ready, because its presence is what makes the kubelet call the node
// ready. Both files are replaced in one step and only when they differ. Neither is removed when the agent stops: pods must
// be deletable meanwhile. A configuration of someone else that sorts before ours wins in every runtime; it is named.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readIfPresent, writeDurably } from './files.ts';

const configName = '10-manx.conflist';
const pluginName = 'manx';

export interface InstallOptions {
  readonly confDir: string;
  readonly binDir: string;
  readonly socket: string;
}

/** `cniVersion` is what old runtimes read, `cniVersions` what those of CNI 1.1 choose from. */
export function networkConfiguration(socket: string): string {
  const list = {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: 'manx',
    plugins: [{ type: pluginName, socket }],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

/** A shell script that runs the plugin's source under the Node.js this agent runs under, whatever the runtime's PATH. */
export function pluginScript(node: string, program: string): string {
  const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return `#!/bin/sh\nunset NODE_OPTIONS\nexec ${quote(node)} ${quote(program)}\n`;
}

/** Installs both files; gives the name of a foreign configuration that takes precedence, if there is one. */
export async function install(options: InstallOptions): Promise<string | undefined> {
  const program = fileURLToPath(new URL('main.ts', import.meta.resolve('#cni-protocol')));
  await mkdir(options.binDir, { recursive: true, mode: 0o755 });
  await mkdir(options.confDir, { recursive: true, mode: 0o755 });
  await writeIfDifferent(join(options.binDir, pluginName), pluginScript(process.execPath, program), 0o755);
  await writeIfDifferent(join(options.confDir, configName), networkConfiguration(options.socket), 0o644);
  return firstForeign(await readdir(options.confDir));
}

/** The configuration runtimes would take instead of ours: they use the first by name. */
export function firstForeign(names: readonly string[]): string | undefined {
  const [first] = names.filter((name) => /\.(conf|conflist|json)$/.test(name)).toSorted();
  return first === configName ? undefined : first;
}

async function writeIfDifferent(path: string, text: string, mode: number): Promise<void> {
  if ((await readIfPresent(path)) !== text) await writeDurably(path, text, mode);
}
