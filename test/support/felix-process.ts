/**
 * Felix in a process of its own, driven over stdin and stdout: one JSON line per call, one per answer. Started inside a
 * network namespace by `namespaces.ts`, since a process lives in one namespace for good.
 */
import { createInterface } from 'node:readline';
import { createFelix, defaultFelixSettings, type FelixLog } from '#felix';
import { openNetlinkBackend } from '#libc';

interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

const verbose = process.env['FELIX_TEST_LOG'] !== undefined;
const write = (level: string) => (fields: object, message: string) => {
  if (verbose) process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`);
};
const log: FelixLog = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };

const timers = {
  now: () => performance.now(),
  set: (callback: () => void, delayMs: number) => setTimeout(callback, delayMs),
  clear: (handle: object) => clearTimeout(handle as NodeJS.Timeout),
};

const overrides = JSON.parse(process.env['FELIX_TEST_SETTINGS'] ?? '{}') as object;
const wantsNetlink = process.env['FELIX_TEST_BACKEND'] === 'netlink';
const felix = createFelix({
  settings: { ...defaultFelixSettings, ...overrides },
  log,
  timers,
  random: Math.random,
  routeBackend: async (ownership) => {
    if (!wantsNetlink) return undefined;
    const opened = await openNetlinkBackend(ownership);
    if ('reason' in opened) throw new Error(opened.reason);
    return opened;
  },
});
const programmed: unknown[] = [];
felix.onProgrammed((blocks) => programmed.push(blocks));

const methods: Readonly<Record<string, (...args: never[]) => unknown>> = {
  ...Object.fromEntries(
    Object.getOwnPropertyNames(Object.getPrototypeOf(felix)).map((name) => [
      name,
      (...args: never[]) => (felix as unknown as Record<string, (...args: never[]) => unknown>)[name]?.(...args),
    ]),
  ),
  programmedEvents: () => programmed,
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const call = JSON.parse(line) as Call;
  void answer(call);
});

async function answer({ id, method, args }: Call): Promise<void> {
  try {
    const result = await methods[method]?.(...(args as never[]));
    process.stdout.write(`${JSON.stringify({ id, result: result ?? null })}\n`);
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    process.stdout.write(`${JSON.stringify({ id, error: { message, code } })}\n`);
  }
}
