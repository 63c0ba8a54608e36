-- Who is signed in. It was a part of 0008, so most databases have it.

create table if not exists dashboard_sessions (
  -- whoever reads this table can sign in as nobody
  token_hash bytea primary key,
  user_name text not null,
  -- of the password that was given: with another password the session ends
  password_hash bytea not null,
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);
