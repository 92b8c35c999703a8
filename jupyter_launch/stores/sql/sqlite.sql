-- The embedded store's statements. Times are Unix seconds; queues are written entity/name.

-- A new file takes the same way as an old one: the first schema, then each upgrade.

-- name: schema
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
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

-- name: insert_run
INSERT INTO runs (id, spec_json, state, created, entity, project, name, queue, priority, secrets,
                  resource, owner, lease_until, parent)
SELECT :id, :spec_json, :state, :now, :entity, :project, :name, :queue, :priority, :secrets,
       :resource, :owner, :lease_until, :parent
WHERE :queue IS NULL OR EXISTS (SELECT 1 FROM queues WHERE queue = :queue)
ON CONFLICT (id) DO NOTHING
RETURNING *;

-- name: next_pending
SELECT id, priority, seq FROM runs
WHERE state = 'pending' AND queue = :queue
  AND (secrets = '[]' OR NOT EXISTS (
    SELECT 1 FROM json_each(runs.secrets) AS asked
    WHERE asked.value NOT IN (SELECT value FROM json_each(:names))))
ORDER BY priority, seq LIMIT 1;

-- name: lease
UPDATE runs SET state = 'leased', owner = :owner, lease_until = :lease_until, reason = ''
WHERE id = :id AND state = 'pending' RETURNING *;

-- name: renew
UPDATE runs SET lease_until = :lease_until WHERE owner = :owner RETURNING *;

-- name: owned
SELECT * FROM runs WHERE owner IS NOT NULL;

-- name: take_over
UPDATE runs SET owner = :owner, lease_until = :lease_until
WHERE id = :id AND owner = :before AND lease_until = :seen RETURNING *;

-- name: back_to_queue
UPDATE runs SET state = 'pending', owner = NULL, lease_until = NULL, reason = :reason
WHERE id = :id AND owner = :before AND lease_until = :seen AND state = 'leased' RETURNING *;

-- name: get
SELECT * FROM runs WHERE id = :id;

-- name: owner
SELECT owner FROM runs WHERE id = :id;

-- name: move
UPDATE runs SET state = :state, reason = :reason, started = coalesce(started, :started),
    ended = :ended, exit_code = coalesce(:exit_code, exit_code), handle = coalesce(:handle, handle),
    resource = coalesce(:resource, resource), spec_json = coalesce(:spec_json, spec_json),
    owner = CASE WHEN :held THEN owner END,
    lease_until = CASE WHEN :held THEN lease_until END
WHERE id = :id RETURNING *;

-- name: leftovers
SELECT * FROM runs WHERE handle IS NOT NULL AND ended < :before;

-- name: clear_handle
UPDATE runs SET handle = NULL WHERE id = :id AND ended IS NOT NULL;

-- name: request_stop
UPDATE runs SET stop_requested = 1, kill_requested = kill_requested OR :kill
WHERE id = :id RETURNING *;

-- name: list
SELECT * FROM runs ORDER BY seq DESC LIMIT :limit;

-- What narrows the list down stands in the order of its cost.

-- name: list_some
SELECT * FROM runs
WHERE state IN (SELECT value FROM json_each(:states)) AND (:queue IS NULL OR queue = :queue)
  AND (:notebook IS NULL OR json_extract(spec_json, '$.source.notebook') = :notebook)
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
  AND (:notebook IS NULL OR json_extract(spec_json, '$.source.notebook') = :notebook)
  AND (:text IS NULL OR instr(
    lower(id || ' ' || coalesce(name, '') || ' ' || coalesce(
      json_extract(spec_json, '$.source.body'), json_extract(spec_json, '$.source.path'),
      json_extract(spec_json, '$.uri'), json_extract(spec_json, '$.job'),
      json_extract(spec_json, '$.docker.docker_image'), '')), lower(:text)))
ORDER BY seq DESC LIMIT :limit;

-- name: places
SELECT id, row_number() OVER (PARTITION BY queue ORDER BY priority, seq) - 1 AS place
FROM runs WHERE state = 'pending' AND queue IS NOT NULL;

-- name: attempts
WITH RECURSIVE
    older(id, parent) AS (
        SELECT id, parent FROM runs WHERE id = :id
        UNION SELECT runs.id, runs.parent FROM runs JOIN older ON runs.id = older.parent),
    family(id) AS (
        SELECT id FROM older
        UNION SELECT runs.id FROM runs JOIN family ON runs.parent = family.id)
SELECT * FROM runs WHERE id IN family ORDER BY seq;

-- name: ahead
SELECT count(*) FROM runs AS other, runs AS mine
WHERE mine.id = :id AND other.state = 'pending' AND other.queue = mine.queue
  AND (other.priority, other.seq) < (mine.priority, mine.seq);

-- name: delete_pending
DELETE FROM runs WHERE id = :id AND state = 'pending' RETURNING id;

-- name: delete_events
DELETE FROM events WHERE run_id = :id;

-- name: append_event
INSERT INTO events (run_id, seq, at, kind, data)
VALUES (:id, coalesce((SELECT max(seq) FROM events WHERE run_id = :id), 0) + 1, :now, :kind, :data)
RETURNING *;

-- name: events
SELECT * FROM events WHERE run_id = :id AND seq > :after ORDER BY seq;

-- name: create_queue
INSERT INTO queues (queue, resource, config, created)
VALUES (:queue, :resource, :config, :now)
ON CONFLICT (queue) DO NOTHING RETURNING queue;

-- name: get_queue
SELECT * FROM queues WHERE queue = :queue;

-- name: queues
SELECT queue FROM queues ORDER BY queue;

-- name: put_agent
INSERT INTO agents (id, owner, queues, max_jobs, started, heartbeat, status)
VALUES (:id, :owner, :queues, :max_jobs, :started, :heartbeat, :status)
ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat, status = excluded.status;

-- name: drop_agent
DELETE FROM agents WHERE id = :id;

-- name: agents
SELECT * FROM agents ORDER BY started;

-- A deleted version keeps its row, without content: its number is never given again.

-- name: newest_job
SELECT * FROM jobs
WHERE entity = :entity AND project = :project AND name = :name
  AND version = (SELECT max(version) FROM jobs
                 WHERE entity = :entity AND project = :project AND name = :name)
  AND content IS NOT NULL;

-- name: insert_job
INSERT INTO jobs (entity, project, name, version, created, digest, content)
SELECT :entity, :project, :name, coalesce(max(version) + 1, 0), :now, :digest, :content
FROM jobs WHERE entity = :entity AND project = :project AND name = :name;

-- name: point_alias
INSERT INTO job_aliases (entity, project, name, alias, version)
SELECT :entity, :project, :name, :alias, max(version)
FROM jobs WHERE entity = :entity AND project = :project AND name = :name
ON CONFLICT (entity, project, name, alias) DO UPDATE SET version = excluded.version;

-- name: point_latest
INSERT INTO job_aliases (entity, project, name, alias, version)
SELECT :entity, :project, :name, 'latest', max(version)
FROM jobs
WHERE entity = :entity AND project = :project AND name = :name AND content IS NOT NULL
HAVING max(version) IS NOT NULL
ON CONFLICT (entity, project, name, alias) DO UPDATE SET version = excluded.version;

-- name: job_version
SELECT * FROM jobs
WHERE entity = :entity AND project = :project AND name = :name AND version = :version
  AND content IS NOT NULL;

-- name: job_alias
SELECT jobs.* FROM jobs JOIN job_aliases USING (entity, project, name, version)
WHERE entity = :entity AND project = :project AND name = :name AND alias = :alias
  AND content IS NOT NULL;

-- name: aliases
SELECT alias FROM job_aliases
WHERE entity = :entity AND project = :project AND name = :name AND version = :version
ORDER BY alias != 'latest', alias;

-- name: jobs
SELECT * FROM jobs
WHERE content IS NOT NULL AND (:entity IS NULL OR entity = :entity)
  AND (:project IS NULL OR project = :project)
ORDER BY entity, project, name, version DESC;

-- name: runs_of_job
SELECT id FROM runs
WHERE ended IS NULL AND json_extract(spec_json, '$.job') = :ref ORDER BY seq;

-- name: delete_aliases
DELETE FROM job_aliases
WHERE entity = :entity AND project = :project AND name = :name AND version = :version;

-- name: delete_job
UPDATE jobs SET content = NULL
WHERE entity = :entity AND project = :project AND name = :name AND version = :version;
