-- Columns and stored words by the names of docs/glossary.md.

alter table jobs rename column losses to crashes;
alter table audit rename column deed to action;
update jobs set attempts = (
  select jsonb_agg(
    case when a ->> 'outcome' = 'lost' then jsonb_set(a, '{outcome}', '"crashed"') else a end order by at
  ) from jsonb_array_elements(attempts) with ordinality as past (a, at)
) where attempts @> '[{"outcome": "lost"}]';
