-- What `npm run migrate` has declared on the broker, so that a queue, a delay or a priority that was given up is not forgotten.
create table declared_queues (
  name text primary key,
  -- what is bound to it: [{exchange, routingKey, arguments}]
  bindings json not null
);
