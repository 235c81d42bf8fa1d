-- Called last in every transaction that stores rows: whoever deletes one of these projects waits for its end and then removes these rows as well. A project
-- that is gone already fails the transaction, so that no row is stored for it; the message lists the ids.
CREATE FUNCTION hold_projects(ids integer[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    gone text;
BEGIN
    PERFORM FROM projects WHERE id = ANY(ids) ORDER BY id FOR KEY SHARE;
    SELECT string_agg(wanted::text, ',') INTO gone FROM unnest(ids) AS wanted WHERE NOT EXISTS (SELECT FROM projects WHERE id = wanted);
    IF gone IS NOT NULL THEN
        RAISE EXCEPTION '%', gone USING ERRCODE = 'MT001';
    END IF;
END $$;
