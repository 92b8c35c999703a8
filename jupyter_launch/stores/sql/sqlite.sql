-- The schema and the statements of the embedded store alone.

-- A new file takes the same way as an old one: the first schema, then each upgrade. In the oldest
-- ones, runs.seq is AUTOINCREMENT, which cost each submit one more page and nobody relied on.

-- name: schema
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    spec_json TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    entity TEXT,
    project TEXT,
    name TEXT,
    queue TEXT,
    priority INTEGER NOT NULL,
    secrets TEXT NOT NULL,
    resource TEXT,
    owner TEXT,
    lease_until REAL,
    handle TEXT,
    started REAL,
    ended REAL,
    exit_code INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    parent TEXT,
    stop_requested INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_pending ON runs (queue, priority, seq) WHERE state = 'pending';
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_left ON runs (ended) WHERE handle IS NOT NULL;
CREATE TABLE events (
    run_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE TABLE queues (
    queue TEXT PRIMARY KEY,
    resource TEXT NOT NULL,
    config TEXT NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    queues TEXT NOT NULL,
    max_jobs INTEGER NOT NULL,
    started REAL NOT NULL,
    heartbeat REAL NOT NULL,
    status TEXT NOT NULL
);
PRAGMA user_version = 1;

-- name: upgrade_1
ALTER TABLE runs ADD COLUMN kill_requested INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_parent ON runs (parent) WHERE parent IS NOT NULL;
PRAGMA user_version = 2;

-- name: upgrade_2
CREATE TABLE jobs (
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    digest TEXT NOT NULL,
    content TEXT,
    PRIMARY KEY (entity, project, name, version)
) WITHOUT ROWID;
CREATE TABLE job_aliases (
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (entity, project, name, alias)
) WITHOUT ROWID;
PRAGMA user_version = 3;

-- name: upgrade_3
ALTER TABLE runs ADD COLUMN host TEXT;
ALTER TABLE runs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN cpus REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN ready REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN wait_until REAL;
ALTER TABLE runs ADD COLUMN spare BLOB;
CREATE INDEX runs_expiring ON runs (wait_until) WHERE wait_until IS NOT NULL AND state = 'pending';
ALTER TABLE queues ADD COLUMN state TEXT NOT NULL DEFAULT 'running';
ALTER TABLE queues ADD COLUMN prioritize BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE queues ADD COLUMN max_running INTEGER;
ALTER TABLE queues ADD COLUMN retry TEXT;
ALTER TABLE agents ADD COLUMN cpus REAL NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN asked TEXT NOT NULL DEFAULT '';
PRAGMA user_version = 4;

-- name: upgrade_4
UPDATE runs SET spec_json = json_remove(json_set(spec_json, '$.origin', json_object(
    'notebook', json_extract(spec_json, '$.source.notebook'),
    'cell', json_extract(spec_json, '$.source.cell')
)), '$.source.notebook', '$.source.cell')
WHERE json_type(spec_json, '$.source.notebook') NOTNULL OR json_type(spec_json, '$.source.cell') NOTNULL;
UPDATE jobs SET content = json_remove(content, '$.spec.source.notebook', '$.spec.source.cell')
WHERE content NOTNULL;
PRAGMA user_version = 5;

-- That a run was leased stands in its own row, until it is leased once more: a claim writes one row.

-- name: upgrade_5
ALTER TABLE runs ADD COLUMN leased REAL;
ALTER TABLE runs ADD COLUMN lease_event INTEGER;
CREATE VIEW history AS
SELECT run_id, seq, at, kind, data FROM events
UNION ALL
SELECT id, lease_event, leased, 'state', '{"state": "leased", "reason": "", "exit_code": null}'
FROM runs WHERE lease_event IS NOT NULL;
CREATE TRIGGER keep_leases BEFORE UPDATE OF lease_event ON runs WHEN old.lease_event IS NOT NULL
BEGIN INSERT OR IGNORE INTO events
      SELECT * FROM history WHERE run_id = old.id AND seq = old.lease_event; END;
PRAGMA user_version = 6;

-- A waiting item keeps room in its row for what a claim adds to it. Otherwise rows that stand close
-- together must be moved to other pages: a claim writes twice as many.

-- name: insert_run
INSERT INTO runs (id, spec_json, state, created, entity, project, name, queue, priority, secrets,
                  resource, owner, lease_until, parent, cpus, memory, gpus, wait_until, spare)
SELECT :id, :spec_json, :state, :created, :entity, :project, :name, :queue,
       CASE WHEN EXISTS (SELECT 1 FROM queues WHERE queue = :queue AND NOT prioritize) THEN 2
            ELSE :priority END,
       :secrets, :resource, :owner, CASE WHEN :lease_s NOTNULL THEN launch_tick() + :lease_s END,
       :parent, :cpus, :memory, :gpus, CASE WHEN :wait_s NOTNULL THEN launch_tick() + :wait_s END,
       CASE WHEN :owner IS NULL THEN zeroblob(90) END
WHERE :queue IS NULL OR EXISTS (SELECT 1 FROM queues WHERE queue = :queue AND state != 'draining')
ON CONFLICT (id) DO NOTHING;

-- Each connection has this view of what may be claimed now: so a claim is one statement, and nobody
-- waits for one who claims.

-- name: claimable
CREATE TEMP VIEW claimable AS
SELECT seq, id, queue, priority, cpus, memory, gpus, secrets FROM runs
WHERE state = 'pending' AND ready <= launch_tick()
  AND (wait_until IS NULL OR wait_until >= launch_tick())
  AND EXISTS (SELECT 1 FROM queues WHERE queue = runs.queue AND state != 'paused' AND (
    max_running IS NULL OR max_running > (
      SELECT count(*) FROM runs AS others
      WHERE others.queue = runs.queue AND others.owner IS NOT NULL)));

-- name: next_pending
SELECT id, cpus, memory, gpus FROM claimable
WHERE queue = :queue AND cpus <= :cpus AND memory <= :memory AND gpus <= :gpus
  AND (secrets = '[]' OR NOT EXISTS (
    SELECT 1 FROM json_each(secrets) AS asked
    WHERE asked.value NOT IN (SELECT value FROM json_each(:names))))
ORDER BY priority, seq LIMIT 1;

-- Without names, it takes only a run that asks for none: most do not.

-- name: lease
UPDATE runs SET state = 'leased', owner = :owner, lease_until = launch_tick() + :lease_s,
    leased = launch_now(), reason = '', spare = NULL,
    lease_event = coalesce((SELECT max(seq) FROM events WHERE run_id = runs.id), 0) + 1
WHERE seq = (SELECT seq FROM (
    SELECT seq, cpus, memory, gpus, secrets FROM claimable
    WHERE queue = :queue AND cpus <= :cpus AND memory <= :memory AND gpus <= :gpus
      AND (secrets = '[]' OR :names IS NULL OR NOT EXISTS (
        SELECT 1 FROM json_each(secrets) AS asked
        WHERE asked.value NOT IN (SELECT value FROM json_each(:names))))
    ORDER BY priority, seq LIMIT 1
) WHERE cpus <= :free_cpus AND memory <= :free_memory AND gpus <= :free_gpus
    AND (secrets = '[]' OR :names IS NOT NULL))
RETURNING *;

-- name: append_event
INSERT INTO events (run_id, seq, at, kind, data)
VALUES (:id, max(coalesce((SELECT max(seq) FROM events WHERE run_id = :id), 0),
                 coalesce((SELECT lease_event FROM runs WHERE id = :id), 0)) + 1,
        launch_now(), :kind, :data)
RETURNING *;

-- name: level_priorities
UPDATE runs SET priority =
    CASE WHEN :prioritize THEN coalesce(json_extract(spec_json, '$.priority'), 2) ELSE 2 END
WHERE queue = :queue AND state = 'pending';

-- name: list_some
SELECT * FROM runs
WHERE state IN (SELECT value FROM json_each(:states)) AND (:queue IS NULL OR queue = :queue)
  AND (:notebook IS NULL OR json_extract(spec_json, '$.origin.notebook') = :notebook)
  AND (:text IS NULL OR instr(
    lower(id || ' ' || coalesce(name, '') || ' ' || coalesce(
      json_extract(spec_json, '$.source.body'), json_extract(spec_json, '$.source.path'),
      json_extract(spec_json, '$.uri'), json_extract(spec_json, '$.job'),
      json_extract(spec_json, '$.docker.docker_image'), '')), lower(:text)))
ORDER BY seq DESC LIMIT :limit;

-- name: list_open
WITH opened AS MATERIALIZED (
    SELECT * FROM runs WHERE state = 'pending'
    UNION ALL SELECT * FROM runs WHERE owner IS NOT NULL)
SELECT * FROM opened
WHERE state IN (SELECT value FROM json_each(:states)) AND (:queue IS NULL OR queue = :queue)
  AND (:notebook IS NULL OR json_extract(spec_json, '$.origin.notebook') = :notebook)
  AND (:text IS NULL OR instr(
    lower(id || ' ' || coalesce(name, '') || ' ' || coalesce(
      json_extract(spec_json, '$.source.body'), json_extract(spec_json, '$.source.path'),
      json_extract(spec_json, '$.uri'), json_extract(spec_json, '$.job'),
      json_extract(spec_json, '$.docker.docker_image'), '')), lower(:text)))
ORDER BY seq DESC LIMIT :limit;

-- name: runs_of_job
SELECT id FROM runs
WHERE ended IS NULL AND json_extract(spec_json, '$.job') = :ref ORDER BY seq;

-- name: prune_runs
DELETE FROM runs
WHERE id IN (SELECT value FROM json_each(:ids)) AND ended < :before AND handle IS NULL
  AND (NOT :keep_failed OR state IN ('finished', 'stopped'))
RETURNING id;

-- name: prune_events
DELETE FROM events WHERE run_id IN (SELECT value FROM json_each(:ids));

-- name: count_events
SELECT count(*) AS count FROM history WHERE run_id IN (SELECT value FROM json_each(:ids));

-- name: known_runs
SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(:ids));

-- name: integrity
PRAGMA integrity_check;

-- name: database_bytes
SELECT page_count * page_size AS bytes, freelist_count * page_size AS unused
FROM pragma_page_count, pragma_page_size, pragma_freelist_count;
