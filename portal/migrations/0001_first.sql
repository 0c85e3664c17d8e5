-- Times are seconds since 1970, UTC. Identifiers are text. Secrets are sealed before they get here.

-- Small facts about this database: the id of the key that seals it, when it was last written.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Authenticators. A row is never deleted: it is the record of every token ever bound.
CREATE TABLE tokens (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL,
    user_name    TEXT NOT NULL,
    name         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'active', 'suspended', 'revoked')),
    -- Who suspended it: 'user' may resume it again, 'operator' only an operator.
    suspended_by TEXT CHECK (suspended_by IN ('user', 'operator')),
    -- XChaCha20-Poly1305; erased when revoked.
    secret       BLOB,
    weak         INTEGER NOT NULL DEFAULT 0,
    origin       TEXT NOT NULL,
    -- SHA-256 of the handle that may confirm a pending token of somebody not logged in.
    handle       BLOB,
    -- A token that this one replaces when it is confirmed.
    replaces     TEXT,
    created      INTEGER NOT NULL,
    -- When a pending token stops waiting for its first code.
    expires      INTEGER,
    tries        INTEGER NOT NULL DEFAULT 0,
    last_used    INTEGER,
    last_step    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX tokens_by_user ON tokens (user_id, state);
CREATE INDEX tokens_by_name ON tokens (user_name COLLATE NOCASE);

-- Single-use invitations to enrol.
CREATE TABLE tickets (
    id        TEXT PRIMARY KEY,
    user_id   TEXT NOT NULL,
    user_name TEXT NOT NULL,
    -- SHA-256 of the code, which has 120 bits.
    code      BLOB NOT NULL UNIQUE,
    replaces  TEXT,
    issued    INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    issued_by TEXT NOT NULL,
    note      TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('open', 'used', 'void')),
    ended     INTEGER
) STRICT;
CREATE INDEX tickets_by_user ON tickets (user_id, state);

-- Web cookies of people who proved themselves. Only the hash is here.
CREATE TABLE cookies (
    hash      BLOB PRIMARY KEY,
    user_id   TEXT NOT NULL,
    user_name TEXT NOT NULL,
    source    TEXT NOT NULL,
    factors   TEXT NOT NULL,
    -- The token whose code was given; the cookie ends with it.
    token     TEXT NOT NULL,
    created   INTEGER NOT NULL,
    seen      INTEGER NOT NULL,
    -- What the page says once after a redirect: "id word word …".
    notice    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX cookies_by_user ON cookies (user_id);

-- Failures in a row per user name, whether such a user exists or not. The name stands here as a
-- keyed hash: people type their password where the name belongs.
CREATE TABLE waits (
    user     TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    changed  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_by_change ON waits (changed);

-- What people see under "recent log-ins".
CREATE TABLE attempts (
    id      INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    at      INTEGER NOT NULL,
    source  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    token   TEXT
) STRICT;
CREATE INDEX attempts_by_user ON attempts (user_id, id);

-- People who were locked out: no enrolment by password alone until a ticket lifts it.
CREATE TABLE barred (
    user_id TEXT PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Audit records that the agent could not take yet.
CREATE TABLE outbox (
    id    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    actor TEXT NOT NULL,
    draft TEXT NOT NULL
) STRICT;
