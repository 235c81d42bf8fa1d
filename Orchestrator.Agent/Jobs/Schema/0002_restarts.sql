-- What a run that is taken up again needs: a document belongs to its job, so it is stored once; a session's stream starts over where it was initialized last.
alter table mats.objects add column job_id uuid;
alter table mats.objects add column name text generated always as (split_part(path, '/', 3)) stored;
create unique index objects_by_job on mats.objects (job_id, name);

alter table mats.channels drop column closed_at;
alter table mats.channels add column first_seq bigint not null default 0;
