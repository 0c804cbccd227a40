// What the demo prints: a line while a step works, a verdict per claim, a summary on one screen at the end.
import { styleText } from 'node:util';

export interface Claim {
  readonly title: string;
  readonly holds: boolean;
  readonly detail: string;
}

export interface Report {
  /** A step begins. */
  step(text: string): void;
  /** Text shown as it is, indented. */
  show(text: string): void;
  claim(claim: Claim): void;
  readonly claims: readonly Claim[];
  /** True when every claim held and at least one was made. */
  summarise(): boolean;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function createReport(write: (text: string) => void, now: () => number): Report {
  const claims: Claim[] = [];
  const begin = now();
  const mark = (holds: boolean): string => (holds ? styleText('green', 'ok  ') : styleText('red', 'FAIL'));
  return {
    claims,
    step: (text) =>
      write(`${styleText('dim', `[${seconds(now() - begin).padStart(6)}]`)} ${styleText('bold', text)}\n`),
    show: (text) =>
      write(
        `${text
          .split('\n')
          .map((line) => `           ${line}`)
          .join('\n')}\n`,
      ),
    claim: (claim) => {
      claims.push(claim);
      write(`           ${mark(claim.holds)} ${claim.title}: ${claim.detail}\n`);
    },
    summarise: () => {
      const holds = claims.length > 0 && claims.every((claim) => claim.holds);
      write(
        `\n${styleText('bold', 'What was seen')} (from kernels, the wire and BIRD; ${seconds(now() - begin)} in all)\n`,
      );
      const width = Math.max(...claims.map((claim) => claim.title.length));
      for (const claim of claims) write(`  ${mark(claim.holds)} ${claim.title.padEnd(width)}  ${claim.detail}\n`);
      write(holds ? 'Everything held.\n' : 'Something did not hold: see FAIL above.\n');
      return holds;
    },
  };
}
