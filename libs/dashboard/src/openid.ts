import { Injectable, Logger } from '@nestjs/common';
import {
  AuthorizationResponseError,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  ClientSecretBasic,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
  ResponseBodyError,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from 'openid-client';
import { Settings } from '#config';
import type { Role } from './access.js';

/** How long the provider may take for an answer. */
const TIMEOUT_S = 5;
const MAX_NAME = 100;

/** What a browser keeps while somebody signs in at the provider. */
export interface Attempt {
  state: string;
  nonce: string;
  verifier: string;
}

/** Somebody whom the provider knows; without a role when none of the claim's values means one. */
export interface Person {
  name: string;
  role: Role | undefined;
}

/** A sign-in that did not come about; its message is for the page. */
export class SignInError extends Error {
  override readonly name = 'SignInError';
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Claims = Record<string, unknown>;

/** Signs people in by OpenID Connect: authorization code flow with PKCE, state and nonce. */
@Injectable()
export class OpenId {
  private readonly logger = new Logger('Dashboard');
  /** What the provider says of itself, asked for when somebody signs in first. */
  private configuration: Promise<Configuration> | undefined;

  constructor(private readonly settings: Settings) {}

  /** @returns where the browser is to go, and what it is to bring back from there. @throws SignInError */
  async begin(): Promise<{ url: URL; attempt: Attempt }> {
    const configuration = await this.configured();
    const attempt = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() };
    const url = buildAuthorizationUrl(configuration, {
      redirect_uri: this.callback.href,
      scope: this.settings.OIDC_SCOPE,
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: 'S256',
    });
    return { url, attempt };
  }

  /**
   * Finds out who has come back from the provider.
   *
   * @param search the query of the address that the provider sent the browser to. @throws SignInError
   */
  async finish(search: string, { state, nonce, verifier }: Attempt): Promise<Person> {
    const configuration = await this.configured();
    const url = this.callback;
    url.search = search;
    if (url.searchParams.get('state') !== state)
      throw new SignInError(
        400,
        'This sign-in took too long, or another one was begun meanwhile. Begin again.',
      );
    try {
      const tokens = await authorizationCodeGrant(configuration, url, {
        ...{ pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce },
        idTokenExpected: true,
      });
      const claims = tokens.claims() as Claims & { sub: string };
      // Many providers tell more than who it is only when they are asked.
      const isAsked = this.valuesIn(claims).length === 0 && configuration.serverMetadata().userinfo_endpoint;
      const more = isAsked ? await fetchUserInfo(configuration, tokens.access_token, claims.sub) : {};
      return this.personOf({ ...more, ...claims });
    } catch (error) {
      throw this.failure(error);
    }
  }

  private get callback(): URL {
    return new URL('/dashboard/sign-in/openid/callback', this.settings.DASHBOARD_URL);
  }

  private configured(): Promise<Configuration> {
    const { OIDC_ISSUER = '', OIDC_CLIENT_ID = '', OIDC_CLIENT_SECRET: secret } = this.settings;
    const issuer = new URL(OIDC_ISSUER);
    this.configuration ??= discovery(
      issuer,
      OIDC_CLIENT_ID,
      undefined,
      secret ? ClientSecretBasic(secret) : None(),
      {
        timeout: TIMEOUT_S,
        // The settings allow http for this machine only.
        execute: [
          enableNonRepudiationChecks,
          ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : []),
        ],
      },
    ).catch((error) => {
      this.configuration = undefined;
      throw this.failure(error);
    });
    return this.configuration;
  }

  private personOf(claims: Claims): Person {
    const values = this.valuesIn(claims);
    const roles = this.settings.OIDC_ROLES.filter(({ value }) => values.includes(value)).map(
      ({ role }) => role,
    );
    const { email, email_verified: isVerified, preferred_username: username, sub } = claims;
    const given = [isVerified === false ? undefined : email, username, sub].find((name) => name);
    // Nothing that a log, a column or a page could take for something else.
    const name = String(given).replace(/\p{C}/gu, '').slice(0, MAX_NAME);
    const isTaken = this.settings.DASHBOARD_USERS.some((user) => user.name === name);
    return {
      name: isTaken ? `${name} (OpenID Connect)` : name,
      role: roles.includes('operator') ? 'operator' : roles[0],
    };
  }

  /** The values of the claim that has the roles. */
  private valuesIn(claims: Claims): unknown[] {
    const { OIDC_ROLES_CLAIM: claim } = this.settings;
    const path = claim.startsWith('/') ? claim.slice(1).split('/') : [claim];
    const found = path.reduce<unknown>(
      (value, key) => (value as Claims | undefined)?.[key.replaceAll('~1', '/').replaceAll('~0', '~')],
      claims,
    );
    return [found ?? []].flat();
  }

  private failure(error: unknown): SignInError {
    const { message, code } = error as Error & { code?: string };
    this.logger.warn({ msg: `Dashboard sign-in by OpenID Connect failed: ${message}`, code });
    if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError)
      return new SignInError(
        403,
        `The provider refused this sign-in (${error.error.replace(/[^\w.-]/g, '')}).`,
      );
    return new SignInError(
      503,
      'The provider of the sign-in cannot be used at the moment; the log of the api says why. Try again later.',
    );
  }
}
