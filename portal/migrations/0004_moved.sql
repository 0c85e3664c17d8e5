-- The cookie went to another address without a code: it carries what was open there, and no more.
ALTER TABLE cookies ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
