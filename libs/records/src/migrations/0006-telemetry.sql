-- To which trace a job belongs.

alter table jobs
  -- the W3C trace context that the job was enqueued in, for what is published later than that; null in most clones.
  -- Written once, with the row
  add traceparent text;
