-- Two roles with what they need and no more. Run as an administrator, after `driftline migrate`, for database
-- `driftline`; give them to users of your own making, whose passwords belong in no file of this repository:
--   CREATE USER pipeline IDENTIFIED WITH sha256_password BY '…' DEFAULT ROLE driftline_writer;
-- The pipeline applies no migrations under this role; it only checks that none is missing.

CREATE ROLE IF NOT EXISTS driftline_writer;
CREATE ROLE IF NOT EXISTS driftline_reader;

-- the pipeline: adds rows, reads its own tables, changes and drops nothing
GRANT SELECT, INSERT ON driftline.anomaly_events TO driftline_writer;
GRANT SELECT, INSERT ON driftline.anomaly_windows TO driftline_writer;
GRANT SELECT, INSERT ON driftline.signal_buckets TO driftline_writer;
GRANT SELECT, INSERT ON driftline.change_revisions TO driftline_writer;
GRANT SELECT, INSERT ON driftline.topology_edges TO driftline_writer;
GRANT SELECT, INSERT ON driftline.incidents TO driftline_writer;
GRANT SELECT, INSERT ON driftline.ingest_accounts TO driftline_writer;
GRANT SELECT ON driftline.silences TO driftline_writer;
GRANT SELECT ON driftline.schema_migrations TO driftline_writer;
GRANT SELECT ON driftline.change_events TO driftline_writer;
GRANT SELECT ON driftline.event_labels TO driftline_writer;
GRANT SELECT ON driftline.budget_shares TO driftline_writer;

-- analysts and dashboards: read everything, within limits that a query may tighten
GRANT SELECT ON driftline.* TO driftline_reader;
CREATE SETTINGS PROFILE IF NOT EXISTS driftline_reader SETTINGS
    readonly = 2, max_execution_time = 60, max_memory_usage = 8000000000, max_result_rows = 10000000
    TO driftline_reader;
CREATE QUOTA IF NOT EXISTS driftline_reader KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 600, FOR INTERVAL 1 hour MAX execution_time = 1800
    TO driftline_reader;

-- people who say of events what they were (`driftline label`): reading, and that one table
CREATE ROLE IF NOT EXISTS driftline_labeller;
GRANT SELECT ON driftline.* TO driftline_labeller;
GRANT INSERT ON driftline.event_labels TO driftline_labeller;
