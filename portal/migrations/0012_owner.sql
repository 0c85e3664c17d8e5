-- Whose device a token is on: 'private' or 'company'; NULL where nobody said. A ticket may say it
-- beforehand for the device that is set up with it.
ALTER TABLE tokens ADD COLUMN owner TEXT CHECK (owner IN ('private', 'company'));
ALTER TABLE tickets ADD COLUMN owner TEXT CHECK (owner IN ('private', 'company'));
-- Hardware tokens come out of the company's stock.
UPDATE tokens SET owner = 'company' WHERE origin = 'hardware';
