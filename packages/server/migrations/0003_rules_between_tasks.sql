-- minimum server: 0000
-- Rules between rows, which hold whoever writes. The row triggers have conditions, so that they cost tasks without blockers
-- and without a lease nothing.

-- Whether one of the tasks is not completed. `done` counts as completed. In a function, because a subquery would be prepared
-- for every statement that reads a task; one by one, because plpgsql plans `= any(…)` anew for each array.
CREATE FUNCTION has_open_blocker(blockers uuid[], done uuid DEFAULT NULL) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE blocker uuid;
BEGIN
  FOREACH blocker IN ARRAY blockers LOOP
    IF blocker IS DISTINCT FROM done THEN
      PERFORM FROM tasks WHERE id = blocker AND status <> 'completed';
      IF FOUND THEN RETURN true; END IF;
    END IF;
  END LOOP;
  RETURN false;
END $$;
--> statement-breakpoint
-- A lease ends with its last column, and when the task is not in progress any more.
CREATE FUNCTION end_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.claimed_by := NULL;
  new.lease_token := NULL;
  new.lease_expires_at := NULL;
  RETURN new;
END $$;
--> statement-breakpoint
CREATE TRIGGER end_lease BEFORE UPDATE ON tasks FOR EACH ROW
WHEN (old.lease_token IS NOT NULL AND (new.lease_token IS NULL OR new.status <> 'in_progress'))
EXECUTE FUNCTION end_lease();
--> statement-breakpoint
-- A task is not begun, claimed or completed before its blockers are completed: SQLSTATE AK001, with the task and its open
-- blockers as JSON in the detail. It runs when the statement has changed all its rows, and sees what others committed. A blocker
-- of another session is rejected later in the transaction, and named to nobody. An import sets aklp.check_blockers to off: a
-- blocker can be reopened after a task was begun.
CREATE FUNCTION check_blockers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE open_blockers json;
BEGIN
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
CREATE TRIGGER check_blockers_of_new AFTER INSERT ON tasks FOR EACH ROW
WHEN (new.blocked_by <> '{}' AND new.status <> 'pending'
      AND current_setting('aklp.check_blockers', true) IS DISTINCT FROM 'off')
EXECUTE FUNCTION check_blockers();
--> statement-breakpoint
CREATE TRIGGER check_blockers AFTER UPDATE ON tasks FOR EACH ROW
WHEN (new.blocked_by <> '{}' AND new.status <> 'pending'
      AND (new.status <> old.status OR new.attempts <> old.attempts))
EXECUTE FUNCTION check_blockers();
--> statement-breakpoint
-- A deleted task blocks nothing.
CREATE FUNCTION remove_blockers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE deleted_ids uuid[] := ARRAY(SELECT id FROM deleted);
BEGIN
  UPDATE tasks SET
    blocked_by = ARRAY(
      SELECT blocker FROM unnest(blocked_by) WITH ORDINALITY AS given (blocker, place)
      WHERE blocker <> ALL (deleted_ids) ORDER BY place),
    updated_at = greatest(now(), updated_at + interval '1 millisecond')
  WHERE blocked_by && deleted_ids AND blocked_by <> '{}';
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER remove_blockers AFTER DELETE ON tasks REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT
EXECUTE FUNCTION remove_blockers();
--> statement-breakpoint
-- JSON Merge Patch (RFC 7396, section 2).
CREATE FUNCTION json_merge_patch(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE member record;
BEGIN
  IF jsonb_typeof(patch) <> 'object' THEN RETURN patch; END IF;
  IF jsonb_typeof(target) IS DISTINCT FROM 'object' THEN target := '{}'; END IF;
  FOR member IN SELECT key, value FROM jsonb_each(patch) LOOP
    IF member.value = 'null' THEN target := target - member.key;
    ELSE target := target || jsonb_build_object(member.key, json_merge_patch(target -> member.key, member.value));
    END IF;
  END LOOP;
  RETURN target;
END $$;
--> statement-breakpoint
-- Merges patches one after the other.
CREATE FUNCTION json_merge_patches(target jsonb, patches jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE patch jsonb;
BEGIN
  FOR patch IN SELECT value FROM jsonb_array_elements(patches) LOOP
    target := json_merge_patch(target, patch);
  END LOOP;
  RETURN target;
END $$;
