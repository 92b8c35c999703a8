-- Statements on the store itself, of every SQL store.

-- name: count_rows
SELECT 'runs' AS name, count(*) AS count FROM runs
UNION ALL SELECT 'events', count(*) FROM history
UNION ALL SELECT 'queues', count(*) FROM queues
UNION ALL SELECT 'agents', count(*) FROM agents
UNION ALL SELECT 'jobs', count(*) FROM jobs WHERE content IS NOT NULL;

-- name: oldest_run
SELECT created FROM runs ORDER BY seq LIMIT 1;

-- name: open_runs
SELECT id FROM runs WHERE ended IS NULL;

-- What still has to be cleared away at its backend is found by its handle, and stays.

-- name: prunable
SELECT seq, id FROM runs
WHERE seq > :after AND ended < :before AND handle IS NULL
  AND (NOT :keep_failed OR state IN ('finished', 'stopped'))
ORDER BY seq LIMIT :limit;

-- name: kept_specs
SELECT seq, spec_json FROM runs
WHERE seq > :after AND spec_json LIKE '%snapshot%'
  AND (ended IS NULL OR ended >= :before OR handle IS NOT NULL
       OR (:keep_failed AND state NOT IN ('finished', 'stopped')))
ORDER BY seq LIMIT :limit;

-- name: job_contents
SELECT content FROM jobs WHERE content LIKE '%snapshot%';

-- name: drop_lost_agents
DELETE FROM agents WHERE heartbeat < launch_tick() - 86400;

-- name: gaps
SELECT run_id AS id FROM history GROUP BY run_id HAVING count(*) <> max(seq) ORDER BY run_id;

-- name: stray_events
SELECT count(*) AS count FROM events
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = events.run_id);
