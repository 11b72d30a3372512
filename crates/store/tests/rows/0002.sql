-- Rows as the second version wrote them beside those of the first.
INSERT INTO environments (id, owner, name, repository, version, created_at, updated_at, deleted_at)
    VALUES (1, 'local', 'web', NULL, 2, 61, 61, NULL);
INSERT INTO environment_versions (environment, version, recipe, author, at)
    VALUES (1, 1, 'a = 1', 'ann', 61);
INSERT INTO environment_versions (environment, version, recipe, author, at)
    VALUES (1, 2, 'a = 2', 'ann', 61);
INSERT INTO secrets (owner, repository, environment, name, version, key_id, nonce, sealed, updated_at)
    VALUES ('local', '', 'web', 'TOKEN', 1, '22c720487d07809f', x'f00b28055ada0b05bc13eea3', x'3ec9acae47681cfed5eaf2273d9415fc0930f75d609b', 62);
