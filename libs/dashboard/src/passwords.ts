import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Costs 32 MB and some 80 ms: nothing to one who signs in, too much to try a dictionary. */
const LOG2_COST = 15;
const BLOCK_SIZE = 8;
const KEY_LENGTH = 32;

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);
const options = (log2Cost: number) => ({
  N: 2 ** log2Cost,
  r: BLOCK_SIZE,
  maxmem: 2 * 128 * BLOCK_SIZE * 2 ** log2Cost,
});

/** Hashes a password for `DASHBOARD_USERS`: no character of it means anything to a shell, a URL or an env file. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, KEY_LENGTH, options(LOG2_COST));
  return ['scrypt', LOG2_COST, salt.toString('base64url'), key.toString('base64url')].join('.');
}

/** Whether a password is the one of a hash that {@link hashPassword} made. */
export async function isPassword(password: string, hash: string): Promise<boolean> {
  const [, log2Cost, salt = '', expected = ''] = hash.split('.');
  const key = await derive(password, Buffer.from(salt, 'base64url'), KEY_LENGTH, options(Number(log2Cost)));
  return timingSafeEqual(key, Buffer.from(expected, 'base64url'));
}

/** A hash that no password has: a sign-in with an unknown user takes as long as one with a wrong password. */
export const NO_HASH = `scrypt.${LOG2_COST}.${'A'.repeat(22)}.${'A'.repeat(43)}`;
