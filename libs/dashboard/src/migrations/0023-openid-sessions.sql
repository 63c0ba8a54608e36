-- The role of somebody who signed in by OpenID Connect; null in a session by password, whose user has a role.

alter table dashboard_sessions
  add column if not exists role text check (role in ('viewer', 'operator'));
