/**
 * Steps → one script for a shell coprocess: consecutive steps of one side share a process, consecutive `ip` steps one
 * `ip -batch`, and everything stops at the first refusal: two `ip` processes for a whole pod, 4 ms. Pure.
 * `nsenter` takes any namespace path, `ip -n` only names (and is 0.7 ms faster): the hurried way tries it. The host side is
 * a fresh process as well, not the long-lived batch: that one would keep an open descriptor of the pod's namespace, which
 * could then never go away.
 */
import { quote } from '../iproute2/shell.ts';
import type { Step } from './plug.ts';

/** Steps that run as one command. */
type Part = readonly Step[];

export interface Script {
  readonly text: string;
  /** The parts in order; a failing script names one on stderr. */
  readonly parts: readonly Part[];
}

/** The script; it exits with 0 when every step was done. */
export function scriptFor(steps: readonly Step[], netns: string, hurried = false): Script {
  const parts = split(steps, (a, b) => a.side === b.side && a.kind === b.kind);
  const sides = split(
    parts.map((part, index) => ({ part, index })),
    (a, b) => a.part[0]?.side === b.part[0]?.side,
  );
  const blocks = sides.map((side) => {
    const commands = side.map(({ part, index }) => guarded(commandFor(part), index)).join('\n');
    const [first] = side;
    if (first?.part[0]?.side === 'host') return commands;
    if (first !== undefined && side.length === 1 && first.part[0]?.kind === 'ip') {
      // No shell is needed inside: one process less, and another one where `ip` knows the namespace by name.
      const { body } = commandFor(first.part);
      const name = !hurried ? undefined : /^(?:\/var)?\/run\/netns\/([A-Za-z0-9][A-Za-z0-9_.-]*)$/.exec(netns)?.[1];
      const enter = name === undefined ? `nsenter --net=${quote(netns)} ip` : `ip -n ${quote(name)}`;
      return guarded({ command: `${enter} -batch - <<'MANX'`, body }, first.index);
    }
    const inside = `bad=\n${commands}\n[ -z "$bad" ]`;
    return `if [ -z "$bad" ]; then nsenter --net=${quote(netns)} sh -c ${quote(inside)} || bad=pod; fi`;
  });
  return { text: `bad=\n${blocks.join('\n')}\n[ -z "$bad" ]`, parts };
}

/** The step that a failed script's stderr blames, with the kernel's words. */
export function refusal(stderr: string, parts: readonly Part[]): { readonly step: string; readonly reason: string } {
  const part = parts[Number(/^refused (\d+)$/m.exec(stderr)?.[1] ?? Number.NaN)];
  const line = Number(/^Command failed -:(\d+)$/m.exec(stderr)?.[1] ?? 1);
  const words = stderr.split('\n').find((text) => text !== '' && !/^(refused \d+|Command failed -:\d+)$/.test(text));
  return { step: part?.[line - 1]?.name ?? 'entering the pod', reason: words ?? 'no reason given' };
}

/** `[command, heredoc body]`; the body goes on the lines after the command's. */
function commandFor(part: Part): { readonly command: string; readonly body: string } {
  const lines = part.flatMap((step) => (step.kind === 'ip' ? [step.line] : []));
  if (lines.length > 0) return { command: `ip -batch - <<'MANX'`, body: `\n${lines.join('\n')}\nMANX` };
  const writes = part.flatMap((step) => {
    if (step.kind !== 'sysctl') return [];
    const file = quote(`/proc/sys/${step.path}`);
    return [`{ [ ! -e ${file} ] || echo ${quote(step.value)} >${file}; }`];
  });
  return { command: writes.join(' && '), body: '' };
}

function guarded({ command, body }: { command: string; body: string }, index: number): string {
  return `if [ -z "$bad" ]; then ${command} || { bad=${index}; echo refused ${index} >&2; }; fi${body}`;
}

function split<T>(items: readonly T[], together: (a: T, b: T) => boolean): readonly (readonly T[])[] {
  const runs: T[][] = [];
  for (const item of items) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && together(last, item)) run.push(item);
    else runs.push([item]);
  }
  return runs;
}
