-- Exceptions: one person may open one service from one network with the password alone, until an
-- end that is always there. A row is never deleted: it is the record.
CREATE TABLE exceptions (
    id        TEXT PRIMARY KEY,
    user_id   TEXT NOT NULL,
    user_name TEXT NOT NULL,
    service   TEXT NOT NULL,
    -- Prefixes, blank between; 'any' is both families' whole.
    sources   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    approver  TEXT NOT NULL,
    made      INTEGER NOT NULL,
    made_by   TEXT NOT NULL,
    ends      INTEGER NOT NULL CHECK (ends > made),
    -- When it was ended, at its end or before, and by whom.
    ended     INTEGER,
    ended_by  TEXT,
    -- When the person was reminded of its end.
    reminded  INTEGER
) STRICT;
CREATE INDEX exceptions_by_user ON exceptions (user_id, ended);
