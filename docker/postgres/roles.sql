-- Two roles for Warren, in the database that is to hold the records; run once, as the owner of that database:
--   psql "$ADMINISTRATION_URL" --file docker/postgres/roles.sql
-- Then give each a password: `\password warren_migration`, `\password warren_app`. `npm run migrate` logs in as the
-- first, api and worker as the second.

-- Makes and changes the tables, which it owns.
create role warren_migration login;
-- Reads and writes rows, and can neither make, change, empty nor drop a table.
create role warren_app login;

-- PostgreSQL before 15 lets everybody make tables in this schema.
revoke create on schema public from public;
grant usage, create on schema public to warren_migration;
grant usage on schema public to warren_app;

-- The tables that are there already, and those that migrations to come will make.
grant select, insert, update, delete on all tables in schema public to warren_app;
alter default privileges for role warren_migration in schema public
  grant select, insert, update, delete on tables to warren_app;
