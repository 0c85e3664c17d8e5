-- How the token makes its codes (`totp:sha1:6:30`, `hotp:sha1:6`), or `passkey`.
ALTER TABLE tokens ADD COLUMN kind TEXT NOT NULL DEFAULT 'totp:sha1:6:30';
-- How many steps its clock is ahead, as a resynchronisation found out.
ALTER TABLE tokens ADD COLUMN drift INTEGER NOT NULL DEFAULT 0;
-- What is printed on a hardware token.
ALTER TABLE tokens ADD COLUMN serial TEXT;
-- The id of a passkey's credential (WebAuthn); the sealed secret holds its public key and counter.
ALTER TABLE tokens ADD COLUMN credential BLOB;
CREATE UNIQUE INDEX tokens_by_credential ON tokens (credential)
    WHERE credential IS NOT NULL AND state <> 'revoked';
CREATE UNIQUE INDEX tokens_by_serial ON tokens (serial)
    WHERE serial IS NOT NULL AND state <> 'revoked';

-- When something held was last shown; the cookie's age says when the log-in was.
ALTER TABLE cookies ADD COLUMN proved INTEGER NOT NULL DEFAULT 0;
UPDATE cookies SET proved = created;

-- Hardware tokens that nobody has yet.
CREATE TABLE stock (
    serial   TEXT PRIMARY KEY,
    -- XChaCha20-Poly1305, bound to this row.
    secret   BLOB NOT NULL,
    kind     TEXT NOT NULL,
    -- The last counter that counts as used; -1 for a fresh one.
    last     INTEGER NOT NULL,
    weak     INTEGER NOT NULL,
    imported INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Recovery codes: one set of a person at a time, each code once.
CREATE TABLE recovery_sets (
    id      TEXT PRIMARY KEY,
    user_id TEXT NOT NULL UNIQUE,
    user_name TEXT NOT NULL,
    salt    BLOB NOT NULL,
    made    INTEGER NOT NULL
) STRICT;
CREATE TABLE recovery_codes (
    set_id TEXT NOT NULL REFERENCES recovery_sets (id) ON DELETE CASCADE,
    -- argon2id of the code with the set's salt.
    hash   BLOB NOT NULL,
    used   INTEGER,
    PRIMARY KEY (set_id, hash)
) STRICT, WITHOUT ROWID;
