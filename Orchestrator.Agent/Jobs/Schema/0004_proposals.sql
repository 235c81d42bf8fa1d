-- What this process proposed as the remediation agent of orchestrators elsewhere; approved_by is set once, before its command runs.
create table mats.proposals (
    job_id       uuid        primary key,
    command_hash text        not null,
    expires_at   timestamptz not null,
    state        jsonb       not null,
    approved_by  text,
    outcome      jsonb
);
