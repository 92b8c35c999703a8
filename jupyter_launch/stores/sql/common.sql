-- Statements of every SQL store. Times are Unix seconds; queues are written entity/name.
-- launch_now() is the wall clock, launch_tick() the clock of leases, which never jumps.

-- name: about
SELECT key, value FROM about;

-- name: renew
UPDATE runs SET lease_until = launch_tick() + :lease_s WHERE owner = :owner RETURNING *;

-- name: owned
SELECT *, launch_tick() AS tick FROM runs WHERE owner IS NOT NULL;

-- name: take_over
UPDATE runs SET owner = :owner, lease_until = launch_tick() + :lease_s
WHERE id = :id AND owner = :before AND lease_until = :seen RETURNING *;

-- name: back_to_queue
UPDATE runs SET state = 'pending', owner = NULL, lease_until = NULL, reason = :reason
WHERE id = :id AND owner = :before AND lease_until = :seen AND state = 'leased' RETURNING *;

-- name: get
SELECT * FROM runs WHERE id = :id;

-- name: owner
SELECT owner FROM runs WHERE id = :id;

-- name: move
UPDATE runs SET state = :state, reason = :reason,
    started = CASE WHEN :retried THEN NULL WHEN :starts THEN coalesce(started, launch_now())
                   ELSE started END,
    ended = CASE WHEN :ends THEN launch_now() END,
    exit_code = CASE WHEN :retried THEN NULL ELSE coalesce(:exit_code, exit_code) END,
    handle = coalesce(:handle, handle), host = coalesce(:host, host),
    resource = coalesce(:resource, resource), spec_json = coalesce(:spec_json, spec_json),
    attempt = CASE WHEN :retried THEN attempt + 1 ELSE attempt END,
    ready = CASE WHEN :retried THEN launch_tick() + :retry_in ELSE ready END,
    wait_until = CASE WHEN :retried OR :starts THEN NULL ELSE wait_until END,
    owner = CASE WHEN :held THEN owner END,
    lease_until = CASE WHEN :held THEN lease_until END
WHERE id = :id RETURNING *;

-- name: leftovers
SELECT * FROM runs WHERE handle IS NOT NULL AND ended < :before AND coalesce(host, :host) = :host;

-- name: clear_handle
UPDATE runs SET handle = NULL
WHERE id = :id AND handle = :handle AND state NOT IN ('starting', 'running', 'stopping');

-- name: request_stop
UPDATE runs SET stop_requested = TRUE, kill_requested = kill_requested OR :kill
WHERE id = :id RETURNING *;

-- name: list
SELECT * FROM runs ORDER BY seq DESC LIMIT :limit;

-- What narrows the list down stands in the order of its cost.

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
SELECT * FROM runs WHERE id IN (SELECT id FROM family) ORDER BY seq;

-- name: ahead
SELECT count(*) AS ahead FROM runs AS other, runs AS mine
WHERE mine.id = :id AND other.state = 'pending' AND other.queue = mine.queue
  AND (other.priority, other.seq) < (mine.priority, mine.seq);

-- name: delete_pending
DELETE FROM runs WHERE id = :id AND state = 'pending' RETURNING id;

-- name: delete_events
DELETE FROM events WHERE run_id = :id;

-- name: events
SELECT * FROM history WHERE run_id = :id AND seq > :after ORDER BY seq;

-- name: create_queue
INSERT INTO queues (queue, resource, config, created, state, prioritize, max_running, retry)
VALUES (:queue, :resource, :config, launch_now(), :state, :prioritize, :max_running, :retry)
ON CONFLICT (queue) DO NOTHING RETURNING queue;

-- name: get_queue
SELECT * FROM queues WHERE queue = :queue;

-- name: queues
SELECT queue FROM queues ORDER BY queue;

-- name: put_agent
INSERT INTO agents (id, owner, queues, max_jobs, started, heartbeat, status, cpus, memory, gpus)
VALUES (:id, :owner, :queues, :max_jobs, :started, launch_tick(), :status, :cpus, :memory, :gpus)
ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat, status = excluded.status
RETURNING asked;

-- name: drop_agent
DELETE FROM agents WHERE id = :id;

-- name: agents
SELECT agents.*, launch_tick() AS tick,
    (SELECT count(*) FROM runs WHERE runs.owner = agents.owner) AS runs
FROM agents ORDER BY started;

-- A deleted version keeps its row, without content: its number is never given again.

-- name: newest_job
SELECT * FROM jobs
WHERE entity = :entity AND project = :project AND name = :name
  AND version = (SELECT max(version) FROM jobs
                 WHERE entity = :entity AND project = :project AND name = :name)
  AND content IS NOT NULL;

-- name: insert_job
INSERT INTO jobs (entity, project, name, version, created, digest, content)
SELECT :entity, :project, :name, coalesce(max(version) + 1, 0), launch_now(), :digest, :content
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
WHERE content IS NOT NULL AND (CAST(:entity AS TEXT) IS NULL OR entity = :entity)
  AND (CAST(:project AS TEXT) IS NULL OR project = :project)
ORDER BY entity, project, name, version DESC;

-- name: delete_aliases
DELETE FROM job_aliases
WHERE entity = :entity AND project = :project AND name = :name AND version = :version;

-- name: delete_job
UPDATE jobs SET content = NULL
WHERE entity = :entity AND project = :project AND name = :name AND version = :version;

-- name: expire_waiting
UPDATE runs SET state = 'failed', ended = launch_now(), reason = :reason
WHERE state = 'pending' AND wait_until < launch_tick() RETURNING *;

-- name: lock_run
SELECT * FROM runs WHERE id = :id;

-- name: lock_queue
SELECT * FROM queues WHERE queue = :queue;

-- name: requeue
UPDATE runs SET queue = :queue, spec_json = :spec_json, cpus = :cpus, memory = :memory,
    gpus = :gpus, secrets = :secrets,
    priority = CASE WHEN EXISTS (SELECT 1 FROM queues WHERE queue = :queue AND NOT prioritize)
                    THEN 2 ELSE :priority END
WHERE id = :id AND state = 'pending' RETURNING *;

-- name: update_queue
UPDATE queues SET resource = :resource, config = :config, state = :state, prioritize = :prioritize,
    max_running = :max_running, retry = :retry
WHERE queue = :queue RETURNING *;

-- name: waiting
SELECT id FROM runs WHERE state = 'pending' AND queue = :queue ORDER BY priority, seq;

-- name: queue_items
SELECT * FROM runs WHERE state = 'pending' AND queue = :queue ORDER BY priority, seq LIMIT :limit;

-- name: delete_queue
DELETE FROM queues WHERE queue = :queue;

-- name: queue_counts
SELECT queue, sum(CASE WHEN state = 'pending' THEN 1 ELSE 0 END) AS waiting,
    sum(CASE WHEN state = 'pending' THEN 0 ELSE 1 END) AS running
FROM (SELECT queue, state FROM runs WHERE state = 'pending' AND queue IS NOT NULL
      UNION ALL SELECT queue, state FROM runs WHERE owner IS NOT NULL AND queue IS NOT NULL) AS open
GROUP BY queue;

-- name: ask_agent
UPDATE agents SET asked = :asked WHERE id = :id RETURNING owner;
