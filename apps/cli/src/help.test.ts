import { expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { commandLine } from './command-line.js';

const leaves = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

test.each(leaves(commandLine()).map((command) => [command.name(), command] as const))(
  '%s tells what it does, with an example, and can answer in JSON',
  (name, command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    expect(help).toContain(command.description());
    expect(help).toMatch(new RegExp(`npm run jobs -- (schedules )?${name}`));
    expect(help).toContain('--json');
  },
);
