-- What ledgers of the first agents do not have; made whenever a ledger is opened.

-- Closings of very many holders at once: one row each, whatever their number. A holder that one of
-- them covers is closed from that moment on; its row goes, and its own audit record is written,
-- soon afterwards. NULL covers any.
CREATE TABLE IF NOT EXISTS closings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source BLOB,
    service INTEGER,
    user TEXT,
    opened_by TEXT,
    actor TEXT NOT NULL,
    reason TEXT,
    request_id TEXT
) STRICT;

-- Holders that were opened after a closing that covers them.
CREATE TABLE IF NOT EXISTS reopened (
    closing INTEGER NOT NULL,
    source BLOB NOT NULL,
    service INTEGER NOT NULL,
    user TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    PRIMARY KEY (closing, source, service, user, opened_by)
) STRICT, WITHOUT ROWID;

-- The few among the holders whose grant is for a whole /64.
CREATE INDEX IF NOT EXISTS holders_of_prefixes ON holders (service) WHERE length(source) = 8;
