-- A job that waits for an approval ends by itself when nobody gives it in time.
alter table mats.jobs add column expires_at timestamptz;
update mats.jobs set expires_at = (state #>> '{remediation,expires_at}')::timestamptz where status = 'WAITING_FOR_USER';
create index jobs_expiring on mats.jobs (expires_at) where status = 'WAITING_FOR_USER' and expires_at is not null;
