import { expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { commandLine } from './command-line.js';

/** Each command by all of its name, and what it is; groups of others too when they do something themselves. */
const commandsOf = (group: Command, path = ''): [string, Command][] =>
  group.commands.flatMap((command) => {
    const name = path + command.name();
    const others = commandsOf(command, `${name} `);
    const isGroupOnly = others.length > 0 && !command.options.some(({ long }) => long === '--json');
    return isGroupOnly ? others : [[name, command], ...others];
  });

test.each(commandsOf(commandLine()))(
  '%s tells what it does, with an example, and can answer in JSON',
  (name, command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    expect(help).toContain(command.description());
    expect(help).toContain(`npm run jobs -- ${name}`);
    expect(help).toContain('--json');
  },
);
