-- When those who may approve a waiting case were told of it by mail.
ALTER TABLE cases ADD COLUMN told INTEGER;
