// Puts the CNI plugin and its network configuration where the container runtime looks.
//
// The configuration appears only when the agent is ready, because its presence is what makes the kubelet call the node
// ready. Both files are replaced in one step and only when they differ. Neither is removed when the agent stops: pods must
// be deletable meanwhile. A configuration of someone else that sorts before ours wins in every runtime; it is named.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { protocolVersion } from '#cni-protocol';
import { removeInterrupted, writeDurably } from './files.ts';

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

/** Where `npm run build` leaves the C client: beside a bundled agent, or in `dist` above the sources. */
const builtClients = ['./cni-client', '../../dist/cni-client'].map((path) => new URL(path, import.meta.url));

/** The plugin: the C client where one was built that speaks our protocol, else a script for the one in TypeScript. */
export async function pluginFile(clients: readonly URL[]): Promise<Buffer> {
  for (const built of clients) {
    const bytes = await readFile(built).catch(() => undefined);
    if (bytes?.includes(`{"protocol":${protocolVersion},`) === true) return bytes;
  }
  const program = fileURLToPath(new URL('main.ts', import.meta.resolve('#cni-protocol')));
  return Buffer.from(pluginScript(process.execPath, program));
}

/** Installs both files; gives the name of a foreign configuration that takes precedence, if there is one. */
export async function install(options: InstallOptions): Promise<string | undefined> {
  await mkdir(options.binDir, { recursive: true, mode: 0o755 });
  await mkdir(options.confDir, { recursive: true, mode: 0o755 });
  await writeIfDifferent(join(options.binDir, pluginName), await pluginFile(builtClients), 0o755);
  const configuration = Buffer.from(networkConfiguration(options.socket));
  await writeIfDifferent(join(options.confDir, configName), configuration, 0o644);
  return firstForeign(await readdir(options.confDir));
}

/** The configuration runtimes would take instead of ours: they use the first by name. */
export function firstForeign(names: readonly string[]): string | undefined {
  const [first] = names.filter((name) => /\.(conf|conflist|json)$/.test(name)).toSorted();
  return first === configName ? undefined : first;
}

async function writeIfDifferent(path: string, content: Buffer, mode: number): Promise<void> {
  const present = await readFile(path).catch(() => undefined);
  if (present?.equals(content) === true) return;
  await removeInterrupted(dirname(path), `${basename(path)}.`);
  await writeDurably(path, content, mode);
}
