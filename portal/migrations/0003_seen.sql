-- How many people came from one address lately is asked at each log-in.
CREATE INDEX attempts_by_source ON attempts (source, at);
