import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Settings } from '#config';
import { RecordsDatabase } from '#records';
import type { Role } from './access.js';
import { isPassword, NO_HASH } from './passwords.js';

/** A session ends when nothing was heard of it for a working day, and after a week in any case. */
const IDLE_HOURS = 8;
const MAX_DAYS = 7;
/** By then the provider may have taken a role away. */
const MAX_HOURS_OPENID = 24;
export const MAX_AGE_S = MAX_DAYS * 86_400;
/** That it is used is written once in this time. */
const SEEN_EVERY_S = 60;

interface SessionRow {
  name: string;
  /** A hash of what let somebody in. */
  proof: Buffer;
  /** What the provider gave; null when it was a password. */
  role: Role | null;
}

/** Who is signed in: a row for each session, with a hash of the cookie's token, so that reading the table opens no door. */
@Injectable()
export class Sessions {
  private readonly users: Settings['DASHBOARD_USERS'];
  /** Of all that decides who has which role by OpenID Connect: with other settings its sessions end. */
  private readonly openId: Buffer | undefined;

  constructor(
    settings: Settings,
    private readonly database: RecordsDatabase,
  ) {
    this.users = settings.DASHBOARD_USERS;
    const { OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_ROLES_CLAIM, OIDC_ROLES } = settings;
    this.openId = OIDC_ISSUER
      ? sha256(JSON.stringify([OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_ROLES_CLAIM, OIDC_ROLES]))
      : undefined;
  }

  /** Signs in. @returns the token of the new session; undefined when there is no such user or the password is wrong. */
  async begin(name: string, password: string): Promise<string | undefined> {
    const user = this.users.find((user) => user.name === name);
    const isRight = await isPassword(password, user?.hash ?? NO_HASH);
    return user && isRight ? this.insert(user.name, sha256(user.hash)) : undefined;
  }

  /** Signs in somebody whom the provider knows. @returns the token of the new session. */
  beginOpenId(name: string, role: Role): Promise<string> {
    return this.insert(name, this.openId as Buffer, role);
  }

  private async insert(name: string, proof: Buffer, role: Role | null = null): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    await this.query(`delete from dashboard_sessions where not ${IS_ALIVE}`, []);
    await this.query(
      'insert into dashboard_sessions (token_hash, user_name, password_hash, role) values ($1, $2, $3, $4)',
      [sha256(token), name, proof, role],
    );
    return token;
  }

  /** Whose session it is, if it has not ended: by time, by signing out, or because the user has another password. */
  async find(token: string): Promise<{ name: string; role: Role } | undefined> {
    const [row] = await this.query<SessionRow & { isStale: boolean }>(
      `select user_name as name, password_hash as proof, role,
         seen_at < now() - interval '${SEEN_EVERY_S} s' as "isStale"
       from dashboard_sessions where token_hash = $1 and ${IS_ALIVE}`,
      [sha256(token)],
    );
    const user = row && this.userOf(row);
    if (!user) return undefined;
    if (row.isStale)
      await this.query('update dashboard_sessions set seen_at = now() where token_hash = $1', [
        sha256(token),
      ]);
    return user;
  }

  private userOf({ name, proof, role }: SessionRow): { name: string; role: Role } | undefined {
    if (role) return this.openId?.equals(proof) ? { name, role } : undefined;
    const user = this.users.find((user) => user.name === name);
    return user && sha256(user.hash).equals(proof) ? { name, role: user.role } : undefined;
  }

  async end(token: string): Promise<void> {
    await this.query('delete from dashboard_sessions where token_hash = $1', [sha256(token)]);
  }

  private async query<Row>(text: string, values: unknown[]): Promise<Row[]> {
    return (await this.database.query<Row>({ text, values })).rows;
  }
}

const IS_ALIVE = `(seen_at > now() - interval '${IDLE_HOURS} h' and created_at > now() -
  case when role is null then interval '${MAX_DAYS} d' else interval '${MAX_HOURS_OPENID} h' end)`;

const sha256 = (text: string) => createHash('sha256').update(text).digest();
