-- Going over to the other address family: the browser that holds a cookie shows that it reaches the
-- portal over IPv4 and over IPv6. A cookie has one crossing to each family at a time.
CREATE TABLE crossings (
    cookie  BLOB NOT NULL REFERENCES cookies (hash) ON DELETE CASCADE,
    family  TEXT NOT NULL CHECK (family IN ('v4', 'v6')),
    -- SHA-256 of what the browser takes to the other host; used up there.
    ticket  BLOB NOT NULL UNIQUE,
    expires INTEGER NOT NULL,
    -- Where the ticket was used from, and SHA-256 of what the browser brings back.
    source  TEXT,
    receipt BLOB UNIQUE,
    PRIMARY KEY (cookie, family)
) STRICT, WITHOUT ROWID;

-- The address of the other family that the same browser was proven at.
ALTER TABLE cookies ADD COLUMN also TEXT;
