-- The Idempotency-Key of a POST /jobs counts once for its user, whatever job it made or resumed; that of a reply, once for its job.
alter table mats.idempotency add column user_email text;
create unique index idempotency_by_user on mats.idempotency (user_email, key) where user_email is not null;
