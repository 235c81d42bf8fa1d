-- Projects that are gone and whose rows are still being removed. Written with the removal of the project, and removed with its last row.
CREATE TABLE removed_projects (
    project_id integer PRIMARY KEY
);
