-- Why an operator, or the watch for leavers, suspended a token.
ALTER TABLE tokens ADD COLUMN suspended_why TEXT;
