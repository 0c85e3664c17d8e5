-- Notices waiting to be sent. Neither the text nor a link is here: both are made when it is sent.
CREATE TABLE mails (
    -- Never used again: a link knows its mail by it.
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Absent: it is for the operators.
    user_id   TEXT,
    user_name TEXT NOT NULL,
    -- Where to, if it was known when the notice came up; else the directory is asked then.
    address   TEXT,
    kind      TEXT NOT NULL,
    -- A JSON object of texts.
    params    TEXT NOT NULL,
    important INTEGER NOT NULL,
    -- The same in each attempt, so that a mail that arrives twice is known as one.
    message   TEXT NOT NULL,
    created   INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    tries     INTEGER NOT NULL DEFAULT 0,
    problem   TEXT
) STRICT;
CREATE INDEX mails_by_due ON mails (due);
CREATE INDEX mails_by_weight ON mails (important, id);

-- Notices of one person within an hour; those beyond the bound are counted and told in one.
CREATE TABLE mail_counts (
    user_id   TEXT NOT NULL,
    user_name TEXT NOT NULL,
    important INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    queued    INTEGER NOT NULL,
    folded    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, important)
) STRICT, WITHOUT ROWID;

-- "This was not me": SHA-256 of what a mail carries, once.
CREATE TABLE links (
    hash      BLOB PRIMARY KEY,
    mail      INTEGER NOT NULL UNIQUE,
    user_id   TEXT NOT NULL,
    user_name TEXT NOT NULL,
    expires   INTEGER NOT NULL,
    used      INTEGER
) STRICT, WITHOUT ROWID;

-- Networks (IPv4 /24, IPv6 /48) a person logged in from, and the language they read last.
CREATE TABLE networks (
    user_id TEXT NOT NULL,
    network TEXT NOT NULL,
    seen    INTEGER NOT NULL,
    PRIMARY KEY (user_id, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX networks_by_time ON networks (seen);
CREATE TABLE languages (
    user_id  TEXT PRIMARY KEY,
    language TEXT NOT NULL
) STRICT, WITHOUT ROWID;
