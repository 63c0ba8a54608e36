import { createInterface } from 'node:readline';
import { hashPassword } from './passwords.js';

/** `npm run hash-password`: reads a password from the terminal or from standard input, writes its hash. */

const MIN_LENGTH = 8;

async function readPassword(): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: undefined, terminal: process.stdin.isTTY });
  if (process.stdin.isTTY) process.stderr.write('Password (it is not shown): ');
  for await (const line of lines) return line;
  return '';
}

const password = await readPassword();
if (process.stdin.isTTY) process.stderr.write('\n');
if (password.length < MIN_LENGTH) {
  process.stderr.write(`A password needs at least ${MIN_LENGTH} characters\n`);
  process.exit(2);
}
process.stdout.write(`${await hashPassword(password)}\n`);
if (process.stdout.isTTY) {
  process.stderr.write('Put it into DASHBOARD_USERS as operator:NAME:HASH or viewer:NAME:HASH\n');
}
process.exit(0);
