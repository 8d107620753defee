-- minimum server: 0000
-- PostgreSQL reads and plans each check and each condition of a trigger anew in every statement: they took a third of the time of
-- a create. The same rules hold, with shorter conditions. Names stay, because servers of the release before still run. One build
-- made databases with these rules by earlier migrations.

-- Lists of everything may use several cores.
ALTER FUNCTION has_open_blocker(uuid[], uuid) PARALLEL SAFE;
--> statement-breakpoint
ALTER TABLE "tasks" DROP CONSTRAINT IF EXISTS "tasks_metadata_size";
--> statement-breakpoint
-- Merges patches into the metadata of a task, one after the other. It has at most 8 KiB as compact JSON, which jsonb itself is
-- not: its text has a space after each comma and colon. What a create sets is checked by the server.
CREATE OR REPLACE FUNCTION json_merge_patches(target jsonb, patches jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE patch jsonb;
BEGIN
  FOR patch IN SELECT value FROM jsonb_array_elements(patches) LOOP
    target := json_merge_patch(target, patch);
  END LOOP;
  IF octet_length(target::text) > 16384 OR octet_length(json_strip_nulls(target::json)::text) > 8192 THEN
    RAISE check_violation USING CONSTRAINT = 'tasks_metadata_size', MESSAGE = 'the metadata is too large';
  END IF;
  RETURN target;
END $$;
--> statement-breakpoint
-- The same under the name by which servers of that build call it.
CREATE OR REPLACE FUNCTION merge_metadata(metadata jsonb, patches jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN json_merge_patches(metadata, patches);
END $$;
--> statement-breakpoint
-- The statements and the trigger below set or clear the three columns of a lease together. Not valid for existing rows, which
-- would all be read under a lock: a longer check has held for them.
ALTER TABLE "tasks" DROP CONSTRAINT "tasks_lease_only_in_progress";
--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_lease_only_in_progress" CHECK ("tasks"."lease_token" is null or "tasks"."status" = 'in_progress') NOT VALID;
--> statement-breakpoint
-- A lease ends with its last column, and when the task is not in progress any more.
CREATE OR REPLACE FUNCTION end_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.lease_token IS NULL OR new.status <> 'in_progress' THEN
    new.claimed_by := NULL;
    new.lease_token := NULL;
    new.lease_expires_at := NULL;
  END IF;
  RETURN new;
END $$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER end_lease BEFORE UPDATE ON tasks FOR EACH ROW
WHEN (old.lease_token IS NOT NULL)
EXECUTE FUNCTION end_lease();
--> statement-breakpoint
-- A task is not begun, claimed or completed before its blockers are completed: SQLSTATE AK001, with the task and its open
-- blockers as JSON in the detail. It runs when the statement has changed all its rows, and sees what others committed. A blocker
-- of another session is rejected later in the transaction, and named to nobody. An import sets aklp.check_blockers to off: a
-- blocker can be reopened after a task was begun.
CREATE OR REPLACE FUNCTION check_blockers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE open_blockers json;
BEGIN
  IF new.status = 'pending' OR current_setting('aklp.check_blockers', true) = 'off'
    OR (tg_op = 'UPDATE' AND new.status = old.status AND new.attempts = old.attempts) THEN
    RETURN NULL;
  END IF;
  SELECT json_agg(json_build_object('id', id, 'key', key, 'title', title, 'status', status)
                  ORDER BY array_position(new.blocked_by, id))
  INTO open_blockers FROM tasks
  WHERE id = ANY (new.blocked_by) AND id <> new.id AND status <> 'completed'
    AND session_id IS NOT DISTINCT FROM new.session_id;
  IF open_blockers IS NOT NULL THEN
    RAISE EXCEPTION 'a blocker is not completed' USING
      ERRCODE = 'AK001',
      DETAIL = json_build_object('id', new.id, 'title', new.title, 'open_blockers', open_blockers);
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
DROP TRIGGER IF EXISTS check_blockers_of_new ON tasks;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER check_blockers AFTER INSERT OR UPDATE ON tasks FOR EACH ROW
WHEN (new.blocked_by <> '{}')
EXECUTE FUNCTION check_blockers();
