import { expect, test } from '@jest/globals';
import { loadSettings } from './settings.js';

const openId = {
  OIDC_ISSUER: 'https://login.example.com/realms/a',
  OIDC_CLIENT_ID: 'warren',
  OIDC_ROLES: 'cn=admins=operator, staff=viewer',
  DASHBOARD_URL: 'https://warren.example.com',
};
test('the values of OIDC_ROLES may have a sign in them that separates', () => {
  expect(loadSettings(openId).OIDC_ROLES).toEqual([
    { value: 'cn=admins', role: 'operator' },
    { value: 'staff', role: 'viewer' },
  ]);
  expect(loadSettings({ ...openId, OIDC_ISSUER: 'http://127.0.0.1:4000' }).OIDC_SCOPE).toContain('openid');
});
test.each([
  ['OIDC_ISSUER', 'http://login.example.com', 'must be a URL that starts with https://'],
  ['OIDC_ISSUER', 'http://localhost.example.com', 'must be a URL that starts with https://'],
  ['DASHBOARD_URL', 'http://warren.example.com', 'must be a URL that starts with https://'],
  ['DASHBOARD_URL', 'https://warren.example.com/dashboard', 'must be scheme and host only'],
  ['DASHBOARD_URL', '', 'is needed with OIDC_ISSUER'],
  ['OIDC_CLIENT_ID', '', 'is needed with OIDC_ISSUER'],
  ['OIDC_ROLES', '', 'is needed with OIDC_ISSUER'],
  ['OIDC_ROLES', 'admins=root', 'each must be VALUE=operator or VALUE=viewer'],
  ['OIDC_SCOPE', 'profile', 'must contain openid'],
])('%s as %p is refused', (name, value, problem) => {
  expect(() => loadSettings({ ...openId, [name]: value })).toThrow(`  ${name}: ${problem}`);
});
