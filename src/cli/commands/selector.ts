// `manxctl selector eval EXPR k=v…`: the selector language, tried out without a cluster.
import { Command, InvalidArgumentError } from 'commander';
import { formatSelector, matches, parseSelector, SelectorError } from '#selector';
import { CliError, exitCodes } from '../errors.ts';
import { print } from '../kube.ts';

function parseLabel(text: string, before: readonly (readonly [string, string])[] = []) {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('expected key=value');
  return [...before, [text.slice(0, at), text.slice(at + 1)] as const];
}

/** The two lines that show where in the expression the fault is. */
function pointAt(expression: string, { message, position }: SelectorError): string {
  return `${message}\n  ${expression}\n  ${' '.repeat(position)}^`;
}

function evalCommand(): Command {
  return new Command('eval')
    .description('does EXPR match these labels? prints true or false; exit code 3 when it does not match')
    .argument('<expression>', 'for example "rack == \'1\' && !has(gpu)"')
    .argument('[labels...]', 'key=value', parseLabel, [])
    .action((expression: string, labels: readonly (readonly [string, string])[]) => {
      try {
        const selector = parseSelector(expression);
        const matched = matches(selector, Object.fromEntries(labels));
        print(`${String(matched)}   ${formatSelector(selector)}`);
        if (!matched) process.exitCode = exitCodes.degraded;
      } catch (error) {
        if (error instanceof SelectorError) throw new CliError(pointAt(expression, error));
        throw error;
      }
    });
}

export function selectorCommand(): Command {
  return new Command('selector')
    .description('the selector language of pools, peers and policies')
    .addCommand(evalCommand());
}
