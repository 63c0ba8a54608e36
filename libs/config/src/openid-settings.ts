import { z } from 'zod';
import { list, readBy } from './values.js';

/** Sign-in to the dashboard by OpenID Connect. */

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const secureUrl = z.string().refine(
  (text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname } = new URL(text);
    return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  },
  { error: 'must be a URL that starts with https://; http:// is for this machine only' },
);
const origin = secureUrl.refine((text) => text.replace(/\/$/, '') === new URL(text).origin, {
  error: 'must be scheme and host only, such as https://warren.example.com',
});

/** `admins=operator,staff=viewer`. */
const role = z.string().transform(
  readBy((entry) => {
    const [, value = '', role] = /^(.+)=(operator|viewer)$/.exec(entry) ?? [];
    if (!role) throw new Error('each must be VALUE=operator or VALUE=viewer');
    return { value, role: role as 'operator' | 'viewer' };
  }),
);

export const openIdSettings = {
  DASHBOARD_URL: origin
    .optional()
    .describe(
      'Where browsers reach the dashboard, such as `https://warren.example.com`. The provider of `OIDC_ISSUER` sends them back to `/dashboard/sign-in/openid/callback` there, and links in notifications lead there.',
    ),
  OIDC_ISSUER: secureUrl
    .optional()
    .describe(
      'Issuer of OpenID Connect, by which people sign in to the dashboard, beside `DASHBOARD_USERS` or without. It needs `OIDC_CLIENT_ID`, `OIDC_ROLES` and `DASHBOARD_URL`. See docs/operations.md.',
    ),
  OIDC_CLIENT_ID: z.string().min(1).optional().describe('What the provider calls Warren.'),
  OIDC_CLIENT_SECRET: z
    .string()
    .min(8)
    .optional()
    .describe('Secret that the provider gave to Warren; without it Warren is a public client.'),
  OIDC_SCOPE: z
    .string()
    .regex(/\bopenid\b/, 'must contain openid')
    .prefault('openid profile email')
    .describe('Scopes to ask the provider for, separated by spaces. Some want one for groups or roles.'),
  OIDC_ROLES_CLAIM: z
    .string()
    .min(1)
    .prefault('roles')
    .describe('Claim that has the roles of somebody, or a JSON Pointer to it: `/realm_access/roles`.'),
  OIDC_ROLES: list
    .pipe(z.array(role))
    .prefault('')
    .describe(
      'Which values of that claim mean which role, separated by commas: `warren-admins=operator,staff=viewer`. Anyone with none of them is refused.',
    ),
};

/** Says what is missing beside an issuer. */
export function checkOpenId(
  settings: { OIDC_ISSUER?: string; OIDC_ROLES: readonly unknown[] } & Record<string, unknown>,
  context: z.RefinementCtx,
): void {
  if (settings.OIDC_ISSUER === undefined) return;
  const missing = ['OIDC_CLIENT_ID', 'DASHBOARD_URL'].filter((name) => settings[name] === undefined);
  if (settings.OIDC_ROLES.length === 0) missing.push('OIDC_ROLES');
  for (const name of missing)
    context.addIssue({ code: 'custom', path: [name], message: 'is needed with OIDC_ISSUER' });
}
