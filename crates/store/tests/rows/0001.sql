-- Rows as the first version wrote them. Turns and attempts name each other, so the checks wait.
PRAGMA foreign_keys = OFF;
INSERT INTO tasks (number, id, title, repository, created_at, archived_at, inputs, turns, mode, state, state_word, updated_at)
    VALUES (1, x'00000000000070008000000000000001', 'fix', '/src/shop', 0, NULL, 1, 2, 'code', '{"state":"suspended","reason":{"why":"paused"}}', 'suspended', 50);
INSERT INTO tasks (number, id, title, repository, created_at, archived_at, inputs, turns, mode, state, state_word, updated_at)
    VALUES (2, x'00000000000070008000000000000006', 'old', '/src/shop', 0, 60, 0, 1, 'code', '{"state":"done","outcome":{"outcome":"no_change"}}', 'no change', 1000000);
INSERT INTO turns (id, task, ordinal, request, origin, continues, chosen, idempotency_key, created_at)
    VALUES (x'00000000000070008000000000000002', x'00000000000070008000000000000001', 1, '{"mode":"code","prompt":"fix","model":"scripted","attempts":1,"budget":{"cost":null,"tokens":null,"model_calls":null,"wall_ms":null},"skip_checks":false,"allow_rewrite":false,"questions":false}', '{"ref":1}', NULL, x'00000000000070008000000000000003', NULL, 0);
INSERT INTO turns (id, task, ordinal, request, origin, continues, chosen, idempotency_key, created_at)
    VALUES (x'00000000002870008000000000000004', x'00000000000070008000000000000001', 2, '{"mode":"code","prompt":"go on","model":"scripted","attempts":1,"budget":{"cost":null,"tokens":null,"model_calls":null,"wall_ms":null},"skip_checks":false,"allow_rewrite":false,"questions":false}', NULL, x'00000000000070008000000000000003', x'00000000002870008000000000000005', 'k', 40);
INSERT INTO turns (id, task, ordinal, request, origin, continues, chosen, idempotency_key, created_at)
    VALUES (x'00000000000070008000000000000007', x'00000000000070008000000000000006', 1, '{"mode":"code","prompt":"old","model":"scripted","attempts":1,"budget":{"cost":null,"tokens":null,"model_calls":null,"wall_ms":null},"skip_checks":false,"allow_rewrite":false,"questions":false}', '{"ref":1}', NULL, x'00000000000070008000000000000008', NULL, 0);
INSERT INTO attempts (id, turn, task, ordinal, state, epoch, worker, lease_until, losses, applied, open, spent, result, created_at, updated_at)
    VALUES (x'00000000000070008000000000000003', x'00000000000070008000000000000002', x'00000000000070008000000000000001', 1, '{"state":"done","outcome":{"outcome":"changed"}}', 2, 'b', NULL, 1, 0, 0, '{"usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_tokens":0,"output_tokens":0,"reasoning_tokens":0},"cost":7,"model_calls":0,"wall_ms":0}', '{"base":null,"head":null,"diff_stat":{"files":1,"added":2,"removed":3},"checks":null,"partial":false,"final_hash":null}', 0, 30);
INSERT INTO attempts (id, turn, task, ordinal, state, epoch, worker, lease_until, losses, applied, open, spent, result, created_at, updated_at)
    VALUES (x'00000000002870008000000000000005', x'00000000002870008000000000000004', x'00000000000070008000000000000001', 1, '{"state":"suspended","reason":{"why":"paused"}}', 1, 'w', NULL, 0, 0, 1, '{"usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_tokens":0,"output_tokens":0,"reasoning_tokens":0},"cost":0,"model_calls":0,"wall_ms":0}', NULL, 40, 50);
INSERT INTO attempts (id, turn, task, ordinal, state, epoch, worker, lease_until, losses, applied, open, spent, result, created_at, updated_at)
    VALUES (x'00000000000070008000000000000008', x'00000000000070008000000000000007', x'00000000000070008000000000000006', 1, '{"state":"done","outcome":{"outcome":"no_change"}}', 1, 'end', NULL, 0, 0, 0, '{"usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_tokens":0,"output_tokens":0,"reasoning_tokens":0},"cost":0,"model_calls":0,"wall_ms":0}', NULL, 0, 1000000);
INSERT INTO inputs (task, number, turn, attempt, kind, at)
    VALUES (x'00000000000070008000000000000001', 1, x'00000000002870008000000000000004', NULL, '{"input":"steer","text":"careful"}', 42);
