// manxctl: the command line of Manx. Commands are one file per verb group under commands/; this file joins them, turns
// every error into one sentence on stderr and a documented exit code (src/cli/README.md), and never prints a stack trace.
import { Command } from 'commander';
import { ipamCommand } from './commands/ipam.ts';
import { labCommand } from './commands/lab.ts';
import { selectorCommand } from './commands/selector.ts';
import { describeError } from './errors.ts';

const program = new Command('manxctl')
  .description('see and steer a Manx network')
  .showHelpAfterError('(try --help)')
  .addCommand(ipamCommand())
  .addCommand(selectorCommand())
  .addCommand(labCommand());

try {
  await program.parseAsync();
} catch (error) {
  const { message, exitCode } = describeError(error);
  process.stderr.write(`manxctl: ${message}\n`);
  process.exitCode = exitCode;
}
