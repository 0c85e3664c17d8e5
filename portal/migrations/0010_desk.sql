-- Cases of the help desk: what was asked for, on which evidence, who decided, what came of it. A row
-- is never deleted: it is the record of who vouched for whom.
CREATE TABLE cases (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN
                     ('lost', 'enrol', 'unlock', 'resume', 'lockout', 'hardware', 'codes')),
    user_id      TEXT,
    user_name    TEXT NOT NULL,
    -- The token or the serial it is about.
    subject      TEXT,
    evidence     TEXT NOT NULL,
    note         TEXT NOT NULL,
    opened       INTEGER NOT NULL,
    opened_by    TEXT NOT NULL,
    opened_by_id TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'done')),
    -- Until when it may be decided and carried out.
    expires      INTEGER NOT NULL,
    decided      INTEGER,
    decided_by   TEXT,
    decision     TEXT,
    carried_out  INTEGER,
    outcome      TEXT,
    -- The ticket that was issued; its code is nowhere.
    ticket       TEXT,
    -- When everything of the person was stopped, and when they could prove themselves again.
    stopped      INTEGER,
    enrolled     INTEGER
) STRICT;
CREATE INDEX cases_by_user ON cases (user_id, opened);
CREATE INDEX cases_by_time ON cases (opened);
CREATE INDEX cases_by_state ON cases (state, expires);

-- However a token comes to count (a first code, a passkey, out of the stock), a case that waits for
-- it ends with it.
CREATE TRIGGER cases_by_first_code AFTER UPDATE OF state ON tokens
WHEN OLD.state = 'pending' AND NEW.state = 'active' BEGIN
    UPDATE cases SET enrolled = NEW.last_used
     WHERE user_id = NEW.user_id AND enrolled IS NULL AND state = 'done'
       AND kind IN ('lost', 'enrol') AND opened <= NEW.last_used;
END;
CREATE TRIGGER cases_by_token AFTER INSERT ON tokens WHEN NEW.state = 'active' BEGIN
    UPDATE cases SET enrolled = NEW.created
     WHERE user_id = NEW.user_id AND enrolled IS NULL AND state = 'done'
       AND kind IN ('lost', 'enrol') AND opened <= NEW.created;
END;

-- How often something happened within an hour: log-ins by result, and how long people took from the
-- page to open access. For pictures; the audit is elsewhere.
CREATE TABLE counts (
    hour INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('login', 'open')),
    name TEXT NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, name)
) STRICT, WITHOUT ROWID;
