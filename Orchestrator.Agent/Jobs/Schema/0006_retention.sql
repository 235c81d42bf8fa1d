-- What retention looks for: jobs that nobody runs any more, events without a job, and channels that nobody uses.
create index jobs_idle on mats.jobs (updated_at) where status <> 'RUNNING';
create index jobs_by_channel on mats.jobs (channel_id);
create index events_published on mats.events (time) where job_id is null;
alter table mats.channels add column used_at timestamptz not null default now();
