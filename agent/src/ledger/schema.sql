-- The ledger: who holds which grant, and everything that happened. Times: `_ms` is UTC in
-- milliseconds since 1970; `_boot_ns` is CLOCK_BOOTTIME of the boot in settings.boot_id.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A service keeps its number for ever, so that a grant in a kernel map never changes its meaning.
CREATE TABLE services (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE holders (
    source BLOB NOT NULL,           -- 4 or 16 bytes, network order; 8: a /64
    service INTEGER NOT NULL,
    user TEXT NOT NULL,
    factor TEXT,
    opened_ms INTEGER NOT NULL,
    opened_by TEXT NOT NULL,
    deadline_ms INTEGER NOT NULL,
    deadline_boot_ns INTEGER NOT NULL,
    idle_ns INTEGER NOT NULL,       -- 0: no idle limit
    PRIMARY KEY (source, service, user, opened_by)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders_by_deadline ON holders (deadline_boot_ns);
CREATE INDEX holders_by_user ON holders (user);
CREATE INDEX holders_by_service ON holders (service);

CREATE TABLE denies (
    prefix TEXT PRIMARY KEY,
    deadline_ms INTEGER NOT NULL,
    deadline_boot_ns INTEGER NOT NULL,
    reason TEXT,
    opened_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Each hash is SHA-256 over the hash before it and the bytes of `record`.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    record TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at_ms);
CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
