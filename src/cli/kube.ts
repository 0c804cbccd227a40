// The API server a command talks to: --kubeconfig, else KUBECONFIG, else ~/.kube/config, as kubectl does.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { createKubeClient, type KubeClient } from '#kube';

export interface KubeOptions {
  readonly kubeconfig?: string;
}

export type OutputFormat = 'table' | 'json';

export interface OutputOptions {
  readonly output: OutputFormat;
}

const timeoutMs = 60_000;

/** A command that talks to the API and prints a table or JSON. */
export function kubeCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--kubeconfig <file>', 'how to reach the API server (default: KUBECONFIG, then ~/.kube/config)')
    .addOption(new Option('-o, --output <format>', 'what to print').choices(['table', 'json']).default('table'));
}

/** Runs `work` with a client and a deadline; the client is closed after. */
export async function withClient<T>(
  { kubeconfig }: KubeOptions,
  work: (client: KubeClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const client = await createKubeClient({ kubeconfig: kubeconfig ?? defaultKubeconfig(), userAgent: 'manxctl' });
  try {
    return await work(client, AbortSignal.timeout(timeoutMs));
  } finally {
    client.close();
  }
}

function defaultKubeconfig(): string {
  const files = (process.env['KUBECONFIG'] ?? '').split(':').filter((file) => file !== '');
  return files.find((file) => existsSync(file)) ?? files[0] ?? join(homedir(), '.kube', 'config');
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, undefined, 2));
}
