-- Reports look at a period, over all people.
CREATE INDEX attempts_by_time ON attempts (at);
