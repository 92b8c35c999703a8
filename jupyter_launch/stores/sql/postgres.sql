-- The schema and the statements of PostgreSQL alone. All is in the schema "jupyter_launch".

-- What others made while we waited for the lock is seen by a scan, not yet by to_regclass().

-- name: version
SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'jupyter_launch' AND tablename = 'about')
    AS there;

-- Planned for its values, which seems to be cheaper once many wait, a claim takes half as long again.

-- name: settings
SET search_path TO jupyter_launch, pg_temp;
SET plan_cache_mode = force_generic_plan;
SET idle_in_transaction_session_timeout = '60s';
SET lock_timeout = '60s';

-- name: lock_schema
SELECT pg_advisory_xact_lock(hashtext('jupyter_launch'));

-- name: begin
BEGIN; SELECT pg_current_xact_id()::text AS number;

-- Whether a transaction was committed whose answer was lost. While its connection is only thought
-- to be alive by the server, it is ended there.

-- name: outcome
SELECT pg_xact_status(:number::text::xid8) AS outcome;

-- name: end_transaction
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_xid = (:number::text::xid8)::xid;

-- What announces something is committed by one at a time, its time on the disk included. So most is
-- announced in a transaction of its own, which writes nothing; whoever misses it looks again. A
-- submit, which is one statement, announces itself: another one would take it half as long again. A
-- claim is announced by the connection on which its process listens, without waiting for that, and
-- several together: an announcement has room for 8,000 bytes, a topic has at most 1,000.

-- name: commit
COMMIT; SELECT pg_notify('jupyter_launch', topic) FROM unnest(:topics::text[]) AS topic;

-- name: ring
SELECT pg_notify('jupyter_launch', string_agg(topic, E'\n'))
FROM unnest(:topics::text[]) WITH ORDINALITY AS topics (topic, number) GROUP BY number / 7;

-- name: schema
CREATE SCHEMA IF NOT EXISTS jupyter_launch;
CREATE TABLE about (key text PRIMARY KEY, value text NOT NULL);
CREATE FUNCTION launch_now() RETURNS double precision LANGUAGE sql VOLATILE
    AS 'SELECT extract(epoch FROM clock_timestamp())::double precision';
CREATE FUNCTION launch_tick() RETURNS double precision LANGUAGE sql VOLATILE
    AS 'SELECT extract(epoch FROM clock_timestamp())::double precision';
-- A zero byte may stand in JSON, but in no text of this database.
CREATE FUNCTION launch_json(said text) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN strpos(said, '\u0000') = 0 THEN said::json
           ELSE regexp_replace(said, '(?<!\\)((\\\\)*)\\u0000', '\1?', 'g')::json END
$$;
CREATE TABLE runs (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    spec_json text NOT NULL,
    state text NOT NULL,
    created double precision NOT NULL,
    entity text,
    project text,
    name text,
    queue text,
    priority integer NOT NULL,
    secrets text NOT NULL,
    resource text,
    owner text,
    lease_until double precision,
    handle text,
    host text,
    started double precision,
    ended double precision,
    exit_code integer,
    reason text NOT NULL DEFAULT '',
    parent text,
    stop_requested boolean NOT NULL DEFAULT false,
    kill_requested boolean NOT NULL DEFAULT false,
    attempt integer NOT NULL DEFAULT 0,
    cpus double precision NOT NULL DEFAULT 0,
    memory bigint NOT NULL DEFAULT 0,
    gpus integer NOT NULL DEFAULT 0,
    ready double precision NOT NULL DEFAULT 0,
    wait_until double precision,
    events integer NOT NULL DEFAULT 0,
    submission text,
    claim text
) WITH (fillfactor = 80);
CREATE INDEX runs_pending ON runs (queue, priority, seq) WHERE state = 'pending';
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_left ON runs (ended) WHERE handle IS NOT NULL;
CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL;
CREATE INDEX runs_expiring ON runs (wait_until) WHERE wait_until IS NOT NULL AND state = 'pending';
CREATE TABLE events (
    run_id text NOT NULL,
    seq integer NOT NULL,
    at double precision NOT NULL,
    kind text NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (run_id, seq)
);
CREATE TABLE queues (
    queue text PRIMARY KEY,
    resource text NOT NULL,
    config text NOT NULL,
    created double precision NOT NULL,
    state text NOT NULL DEFAULT 'running',
    prioritize boolean NOT NULL DEFAULT true,
    max_running integer,
    retry text
);
CREATE TABLE agents (
    id text PRIMARY KEY,
    owner text NOT NULL,
    queues text NOT NULL,
    max_jobs integer NOT NULL,
    started double precision NOT NULL,
    heartbeat double precision NOT NULL,
    status text NOT NULL,
    cpus double precision NOT NULL DEFAULT 0,
    memory bigint NOT NULL DEFAULT 0,
    gpus integer NOT NULL DEFAULT 0,
    asked text NOT NULL DEFAULT ''
);
CREATE TABLE jobs (
    entity text NOT NULL,
    project text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    created double precision NOT NULL,
    digest text NOT NULL,
    content text,
    PRIMARY KEY (entity, project, name, version)
);
CREATE TABLE job_aliases (
    entity text NOT NULL,
    project text NOT NULL,
    name text NOT NULL,
    alias text NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (entity, project, name, alias)
);
-- A run's log: how much there is, the pieces it was written in, and the bytes themselves.
CREATE TABLE logs (
    run_id text PRIMARY KEY,
    stdout bigint NOT NULL,
    stderr bigint NOT NULL,
    build bigint NOT NULL,
    earlier bigint NOT NULL,
    pieces bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE log_pieces (
    run_id text NOT NULL,
    number bigint NOT NULL,
    at double precision NOT NULL,
    lengths integer[] NOT NULL,
    streams smallint[] NOT NULL,
    PRIMARY KEY (run_id, number)
);
CREATE TABLE log_bytes (
    run_id text NOT NULL,
    start bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (run_id, start)
);
CREATE TABLE samples (
    run_id text NOT NULL,
    at double precision NOT NULL,
    cpu double precision NOT NULL,
    memory bigint NOT NULL,
    memory_limit bigint NOT NULL,
    gpu double precision,
    gpu_memory bigint,
    PRIMARY KEY (run_id, at)
);
-- Files: their bytes come first, in chunks; what is not kept a day later was never finished.
CREATE TABLE blobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    begun double precision NOT NULL,
    kept boolean NOT NULL DEFAULT false
);
CREATE INDEX blobs_unfinished ON blobs (begun) WHERE NOT kept;
CREATE TABLE blob_chunks (
    blob bigint NOT NULL REFERENCES blobs ON DELETE CASCADE,
    number integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (blob, number)
);
CREATE TABLE artifacts (
    run_id text NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL,
    modified double precision NOT NULL,
    blob bigint NOT NULL REFERENCES blobs,
    PRIMARY KEY (run_id, name)
);
CREATE INDEX artifacts_blob ON artifacts (blob);
CREATE TABLE snapshots (
    name text PRIMARY KEY,
    size bigint NOT NULL,
    blob bigint NOT NULL REFERENCES blobs
);
CREATE INDEX snapshots_blob ON snapshots (blob);

-- A new store takes the same way: the schema, then each upgrade.

-- name: upgrade_1
-- What narrows lists down stands in the order of its cost.
CREATE OR REPLACE FUNCTION launch_matches(id text, name text, spec text, wanted text, said text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (wanted IS NULL OR launch_json(spec) #>> '{origin,notebook}' = wanted)
      AND (said IS NULL OR strpos(lower(id || ' ' || coalesce(name, '') || ' ' || coalesce(
        launch_json(spec) #>> '{source,body}', launch_json(spec) #>> '{source,path}',
        launch_json(spec) ->> 'uri', launch_json(spec) ->> 'job',
        launch_json(spec) #>> '{docker,docker_image}', '')), lower(said)) > 0)
$$;
UPDATE runs SET spec_json = jsonb_set(
    spec_json::jsonb #- '{source,notebook}' #- '{source,cell}', '{origin}',
    jsonb_strip_nulls(jsonb_build_object('notebook', spec_json::jsonb #> '{source,notebook}',
                                         'cell', spec_json::jsonb #> '{source,cell}')))
WHERE CASE WHEN strpos(spec_json, '\u0000') > 0 THEN false  -- which jsonb cannot hold
      ELSE spec_json::jsonb -> 'source' ?| '{notebook,cell}' END;
UPDATE jobs SET content = content::jsonb #- '{spec,source,notebook}' #- '{spec,source,cell}'
WHERE strpos(content, '\u0000') = 0;

-- name: upgrade_2
-- As in the other store, where it has more than the table.
CREATE VIEW history AS SELECT * FROM events;

-- A run that others lock is being claimed by them, and passed over. A limit is counted while
-- nobody else claims from the queue, and each statement here sees what was committed before it.
-- What must wait for room, or for the names of secrets, is given without an owner. In one statement
-- instead of three, a claim takes a sixth longer.

-- name: upgrade_3
CREATE OR REPLACE FUNCTION launch_now() RETURNS double precision LANGUAGE sql VOLATILE
    AS $$SELECT date_part('epoch', clock_timestamp())$$;
CREATE OR REPLACE FUNCTION launch_tick() RETURNS double precision LANGUAGE sql VOLATILE
    AS $$SELECT date_part('epoch', clock_timestamp())$$;
CREATE OR REPLACE FUNCTION launch_has(names text, asked text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN NOT EXISTS (SELECT json_array_elements_text(asked::json)
                       EXCEPT SELECT json_array_elements_text(names::json));
END $$;
CREATE OR REPLACE FUNCTION launch_claim(
    wanted text, claimer text, lease_s double precision, names text,
    free_cpus double precision, free_memory bigint, free_gpus bigint,
    whole_cpus double precision, whole_memory bigint, whole_gpus bigint,
    mark text, again boolean
) RETURNS SETOF runs LANGUAGE plpgsql AS $$
DECLARE
    most integer;
    first bigint;
    fits boolean;
    taken runs;
BEGIN
    IF again THEN
        RETURN QUERY SELECT * FROM runs WHERE owner = claimer AND claim = mark;
        IF FOUND THEN RETURN; END IF;
    END IF;
    SELECT max_running INTO most FROM queues WHERE queue = wanted AND state != 'paused';
    IF NOT FOUND THEN RETURN; END IF;
    IF most IS NOT NULL THEN
        SELECT max_running INTO most FROM queues WHERE queue = wanted FOR NO KEY UPDATE;
        IF most <= (SELECT count(*) FROM runs WHERE queue = wanted AND owner IS NOT NULL) THEN
            RETURN;
        END IF;
    END IF;
    SELECT seq, cpus <= free_cpus AND memory <= free_memory AND gpus <= free_gpus
            AND (secrets = '[]' OR names IS NOT NULL)
        INTO first, fits FROM runs
        WHERE state = 'pending' AND queue = wanted AND ready <= launch_tick()
          AND (wait_until IS NULL OR wait_until >= launch_tick())
          AND cpus <= whole_cpus AND memory <= whole_memory AND gpus <= whole_gpus
          AND (secrets = '[]' OR names IS NULL OR launch_has(names, secrets))
        ORDER BY priority, seq LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN; END IF;
    IF NOT fits THEN
        RETURN QUERY SELECT * FROM runs WHERE seq = first;
        RETURN;
    END IF;
    UPDATE runs SET state = 'leased', owner = claimer, lease_until = launch_tick() + lease_s,
            reason = '', claim = mark, events = events + 1
        WHERE seq = first RETURNING * INTO taken;
    INSERT INTO events VALUES (taken.id, taken.events, launch_now(), 'state',
        '{"state": "leased", "reason": "", "exit_code": null}');
    RETURN NEXT taken;
END $$;

-- name: claim
SELECT * FROM launch_claim(:queue, :owner, :lease_s, :names,
    :free_cpus, :free_memory, :free_gpus, :cpus, :memory, :gpus, :mark, :again);

-- What was submitted before the connection was lost is given, not complained of.

-- name: insert_run
WITH target AS MATERIALIZED (
    SELECT prioritize FROM queues WHERE queue = :queue AND state != 'draining' FOR KEY SHARE
), made AS (
    INSERT INTO runs (id, spec_json, state, created, entity, project, name, queue, priority,
                      secrets, resource, owner, lease_until, parent, cpus, memory, gpus,
                      wait_until, submission)
    SELECT :id, :spec_json, :state, launch_now(), :entity, :project, :name, :queue,
           CASE WHEN EXISTS (SELECT FROM target WHERE NOT prioritize) THEN 2 ELSE :priority END,
           :secrets, :resource, :owner, launch_tick() + :lease_s, :parent, :cpus, :memory, :gpus,
           launch_tick() + :wait_s, :mark
    WHERE :queue::text IS NULL OR EXISTS (SELECT FROM target)
    ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE runs.submission = excluded.submission
    RETURNING created, priority
)
SELECT created, priority, (
    SELECT count(pg_notify('jupyter_launch', topic)) FROM unnest(:topics::text[]) AS topic)
FROM made;

-- name: requeue
WITH target AS MATERIALIZED (SELECT prioritize FROM queues WHERE queue = :queue FOR KEY SHARE)
UPDATE runs SET queue = :queue, spec_json = :spec_json, cpus = :cpus, memory = :memory,
    gpus = :gpus, secrets = :secrets,
    priority = CASE WHEN prioritize THEN :priority ELSE 2 END
FROM target WHERE id = :id AND state = 'pending' RETURNING runs.*;

-- name: lock_run
SELECT * FROM runs WHERE id = :id FOR NO KEY UPDATE;

-- name: lock_queue
SELECT * FROM queues WHERE queue = :queue FOR UPDATE;

-- name: append_event
WITH counted AS (UPDATE runs SET events = events + 1 WHERE id = :id RETURNING id, events)
INSERT INTO events SELECT id, events, launch_now(), :kind, :data FROM counted RETURNING *;

-- name: level_priorities
UPDATE runs SET priority = CASE WHEN :prioritize
    THEN coalesce((launch_json(spec_json) ->> 'priority')::integer, 2) ELSE 2 END
WHERE queue = :queue AND state = 'pending';

-- name: list_some
SELECT * FROM runs
WHERE state = ANY (ARRAY(SELECT json_array_elements_text(:states::json)))
  AND (:queue::text IS NULL OR queue = :queue)
  AND launch_matches(id, name, spec_json, :notebook, :text)
ORDER BY seq DESC LIMIT :limit;

-- name: list_open
WITH opened AS MATERIALIZED (
    SELECT * FROM runs WHERE state = 'pending'
    UNION ALL SELECT * FROM runs WHERE owner IS NOT NULL)
SELECT * FROM opened
WHERE state = ANY (ARRAY(SELECT json_array_elements_text(:states::json)))
  AND (:queue::text IS NULL OR queue = :queue)
  AND launch_matches(id, name, spec_json, :notebook, :text)
ORDER BY seq DESC LIMIT :limit;

-- name: runs_of_job
SELECT id FROM runs WHERE ended IS NULL AND launch_json(spec_json) ->> 'job' = :ref ORDER BY seq;

-- name: lock_owner
SELECT id FROM runs WHERE id = :id AND owner = :owner FOR NO KEY UPDATE;

-- The counts are those of the newest attempt: what begins another one moves all into `earlier`.

-- name: append_log
WITH counted AS (
    INSERT INTO logs VALUES (:id, :stdout, :stderr, :build, :earlier, :count)
    ON CONFLICT (run_id) DO UPDATE SET
        stdout = CASE WHEN :anew THEN 0 ELSE logs.stdout END + excluded.stdout,
        stderr = CASE WHEN :anew THEN 0 ELSE logs.stderr END + excluded.stderr,
        build = CASE WHEN :anew THEN 0 ELSE logs.build END + excluded.build,
        earlier = logs.earlier + excluded.earlier
            + CASE WHEN :anew THEN logs.stdout + logs.stderr + logs.build ELSE 0 END,
        pieces = logs.pieces + excluded.pieces
    RETURNING stdout + stderr + build + earlier AS size, pieces
), noted AS (
    INSERT INTO log_pieces
    SELECT :id, pieces - :count, launch_now(), :lengths::integer[], :streams::smallint[]
    FROM counted
)
INSERT INTO log_bytes
SELECT :id, size - :size + (number - 1) * :chunk, data
FROM counted, unnest(:chunks::bytea[]) WITH ORDINALITY AS part(data, number);

-- name: log_position
SELECT stdout, stderr, build, earlier FROM logs WHERE run_id = :id;

-- name: log_pieces
SELECT number, at, lengths, streams FROM log_pieces
WHERE run_id = :id AND number < :last AND number >= coalesce(
    (SELECT max(number) FROM log_pieces WHERE run_id = :id AND number <= :first), 0)
ORDER BY number;

-- name: read_log
SELECT start, data FROM log_bytes
WHERE run_id = :id AND start < :last AND start >= coalesce(
    (SELECT max(start) FROM log_bytes WHERE run_id = :id AND start <= :first), 0)
ORDER BY start;

-- name: append_sample
WITH mine AS MATERIALIZED (SELECT id FROM runs WHERE id = :id AND owner = :owner FOR SHARE)
INSERT INTO samples
SELECT id, :at, :cpu, :memory, :memory_limit, :gpu::double precision,
    :gpu_memory::bigint FROM mine
ON CONFLICT (run_id, at) DO UPDATE SET cpu = excluded.cpu RETURNING run_id;

-- name: samples
SELECT at, cpu, memory, memory_limit, gpu, gpu_memory FROM samples
WHERE run_id = :id AND at > :after ORDER BY at;

-- name: begin_blob
INSERT INTO blobs (begun) VALUES (launch_now()) RETURNING id;

-- name: add_chunk
INSERT INTO blob_chunks VALUES (:blob, :number, :data) ON CONFLICT DO NOTHING;

-- name: chunk
SELECT data FROM blob_chunks WHERE blob = :blob AND number = :number;

-- name: drop_blobs
DELETE FROM blobs WHERE id = ANY (:blobs::bigint[]);

-- name: drop_unfinished_blobs
DELETE FROM blobs WHERE NOT kept AND begun < launch_now() - 86400;

-- name: add_artifact
WITH kept AS (UPDATE blobs SET kept = true WHERE id = :blob)
INSERT INTO artifacts VALUES (:id, :name, :size, :modified, :blob);

-- name: artifacts
SELECT name, size, modified, blob FROM artifacts WHERE run_id = :id ORDER BY name COLLATE "C";

-- name: add_snapshot
WITH kept AS (UPDATE blobs SET kept = true WHERE id = :blob)
INSERT INTO snapshots VALUES (:name, :size, :blob)
ON CONFLICT (name) DO NOTHING RETURNING name;

-- name: snapshot
SELECT size, blob FROM snapshots WHERE name = :name;

-- name: drop_damaged_snapshot
WITH gone AS (DELETE FROM snapshots WHERE name = :name AND blob = :blob RETURNING blob)
DELETE FROM blobs WHERE id IN (SELECT blob FROM gone);

-- The store itself.

-- name: prune_runs
DELETE FROM runs
WHERE id IN (SELECT json_array_elements_text(:ids::json)) AND ended < :before AND handle IS NULL
  AND (NOT :keep_failed OR state IN ('finished', 'stopped'))
RETURNING id;

-- name: prune_events
DELETE FROM events WHERE run_id IN (SELECT json_array_elements_text(:ids::json));

-- name: prune_log_bytes
DELETE FROM log_bytes WHERE run_id IN (SELECT json_array_elements_text(:ids::json));

-- name: prune_log_pieces
DELETE FROM log_pieces WHERE run_id IN (SELECT json_array_elements_text(:ids::json));

-- name: prune_logs
DELETE FROM logs WHERE run_id IN (SELECT json_array_elements_text(:ids::json));

-- name: prune_samples
DELETE FROM samples WHERE run_id IN (SELECT json_array_elements_text(:ids::json));

-- name: prune_artifacts
WITH gone AS (
    DELETE FROM artifacts WHERE run_id IN (SELECT json_array_elements_text(:ids::json))
    RETURNING blob)
DELETE FROM blobs WHERE id IN (SELECT blob FROM gone);

-- name: count_events
SELECT count(*) AS count FROM events
WHERE run_id IN (SELECT json_array_elements_text(:ids::json));

-- name: run_bytes
WITH ids AS (SELECT json_array_elements_text(:ids::json) AS id)
SELECT 'logs' AS name, coalesce(sum(stdout + stderr + build + earlier), 0) AS bytes
FROM logs WHERE run_id IN (SELECT id FROM ids)
UNION ALL SELECT 'artifacts', coalesce(sum(size), 0)
FROM artifacts WHERE run_id IN (SELECT id FROM ids);

-- name: table_bytes
SELECT 'database' AS name, sum(pg_total_relation_size(oid)) AS bytes
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'jupyter_launch'::regnamespace
UNION ALL SELECT 'logs', coalesce(sum(stdout + stderr + build + earlier), 0) FROM logs
UNION ALL SELECT 'samples', pg_total_relation_size('samples')
UNION ALL SELECT 'artifacts', coalesce(sum(size), 0) FROM artifacts
UNION ALL SELECT 'snapshots', coalesce(sum(size), 0) FROM snapshots;

-- name: cut_logs
SELECT run_id AS id, said, size FROM (
    SELECT run_id, stdout + stderr + build + earlier AS said, (
        SELECT coalesce(sum(octet_length(data)), 0) FROM log_bytes
        WHERE log_bytes.run_id = logs.run_id) AS size
    FROM logs) AS sizes
WHERE said <> size ORDER BY run_id;

-- name: cut_artifacts
SELECT run_id AS id, name FROM artifacts
WHERE size <> (SELECT coalesce(sum(octet_length(data)), 0) FROM blob_chunks
               WHERE blob_chunks.blob = artifacts.blob)
ORDER BY run_id, name;

-- name: look_at_snapshots
SELECT name, encode(sha256(coalesce((SELECT string_agg(data, '' ORDER BY number) FROM blob_chunks
    WHERE blob_chunks.blob = snapshots.blob), '')), 'hex') = name AS whole
FROM snapshots;

-- A snapshot is as old as its blob, which is new again whenever it is handed in once more.

-- name: touch_snapshot
UPDATE blobs SET begun = launch_now() FROM snapshots
WHERE snapshots.name = :name AND blobs.id = snapshots.blob RETURNING blobs.id;

-- name: old_snapshots
SELECT name, size FROM snapshots JOIN blobs ON blobs.id = snapshots.blob
WHERE begun < launch_now() - 86400;

-- name: prune_snapshot
WITH old AS (
    SELECT blobs.id FROM blobs JOIN snapshots ON snapshots.blob = blobs.id
    WHERE snapshots.name = :name AND begun < launch_now() - 86400 FOR UPDATE OF blobs
), gone AS (
    DELETE FROM snapshots USING old WHERE snapshots.blob = old.id
    RETURNING snapshots.size, snapshots.blob
), freed AS (
    DELETE FROM blobs USING gone WHERE blobs.id = gone.blob
)
SELECT size FROM gone;
