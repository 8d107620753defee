-- minimum server: 0000
CREATE TYPE "public"."event_type" AS ENUM('batch.created', 'batch.extended', 'task.created', 'task.updated', 'task.claimed', 'task.released', 'task.noted', 'task.deleted', 'task.restored');--> statement-breakpoint
CREATE TABLE "events" (
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"type" "event_type",
	"at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"session_id" uuid,
	"batch_id" uuid,
	"task_id" uuid,
	"caller" text,
	"worker" varchar(128),
	"note" varchar(1000),
	"changes" json DEFAULT '{}'::json NOT NULL,
	CONSTRAINT "events_xid_id_pk" PRIMARY KEY("xid","id")
);
--> statement-breakpoint
CREATE INDEX "events_by_session" ON "events" USING btree ("session_id","xid","id");--> statement-breakpoint
CREATE INDEX "events_by_batch" ON "events" USING btree ("batch_id","xid","id");--> statement-breakpoint
CREATE INDEX "events_by_task" ON "events" USING btree ("task_id","xid","id");--> statement-breakpoint
CREATE INDEX "events_with_note" ON "events" USING btree ("session_id","xid","id") WHERE note is not null;--> statement-breakpoint
-- Events are written here and nowhere else, in the transaction of the change. A statement says who changes and why in the setting
-- aklp.event, an object: `days` for which events are kept (0: none is written), `caller`, `token` of the lease that the caller
-- holds, `notes` by the id of the task, `extended` with the ids of new tasks by that of their batch, and `restored` if the tasks that it
-- creates were deleted before. Without the setting, an event has no caller. Triggers for each row: a transition table costs a single
-- change more than the rest of its event. No trigger has a condition: PostgreSQL plans them anew for each statement.

-- A timestamp as the API writes it.
CREATE FUNCTION api_timestamp(value timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
--> statement-breakpoint
-- The fields of a task as JSON, with its place in the plan. Left out are what an event says itself, what has its default, and times that
-- are those of the event. Never the token of a lease.
CREATE FUNCTION task_changes(task tasks, at timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT ('{' || substr(concat(
    ',"key":' || to_json(task.key)::text,
    ',"title":' || to_json(task.title)::text,
    ',"description":' || to_json(task.description)::text,
    CASE WHEN task.status <> 'pending' THEN ',"status":"' || task.status || '"' END,
    ',"priority":"' || task.priority || '"',
    ',"due_date":"' || api_timestamp(task.due_date) || '"',
    CASE WHEN task.blocked_by <> '{}' THEN ',"blocked_by":' || to_json(task.blocked_by)::text END,
    ',"not_before":"' || api_timestamp(task.not_before) || '"',
    CASE WHEN task.attempts <> 0 THEN ',"attempts":' || task.attempts END,
    ',"claimed_by":' || to_json(task.claimed_by)::text,
    ',"lease_expires_at":"' || api_timestamp(task.lease_expires_at) || '"',
    ',"result":' || to_json(task.result)::text,
    CASE WHEN task.metadata <> '{}' THEN ',"metadata":' || task.metadata::text END,
    ',"completed_at":"' || api_timestamp(task.completed_at) || '"',
    CASE WHEN task.created_at IS DISTINCT FROM at THEN ',"created_at":"' || api_timestamp(task.created_at) || '"' END,
    CASE WHEN task.updated_at IS DISTINCT FROM at THEN ',"updated_at":"' || api_timestamp(task.updated_at) || '"' END,
    CASE WHEN task.position <> 0 THEN ',"position":' || task.position END
  ), 2) || '}')::json
$$;
--> statement-breakpoint
-- Deletes old events at each 256th event that is written: more than were added meanwhile, so that they do not pile up. The last of them
-- stays as an empty row, which marks that the ones before it are missing.
CREATE FUNCTION remove_old_events(days int) RETURNS void LANGUAGE plpgsql STRICT AS $$
BEGIN
  -- The first can be the mark.
  PERFORM FROM (SELECT at FROM events ORDER BY xid, id OFFSET 1 LIMIT 1) AS second WHERE at < now() - make_interval(days => days);
  IF NOT FOUND OR NOT pg_try_advisory_xact_lock(4251607002) THEN RETURN; END IF;
  WITH old AS (
    SELECT xid, id, row_number() OVER (ORDER BY xid DESC, id DESC) = 1 AS is_last
    FROM (SELECT xid, id, at FROM events ORDER BY xid, id LIMIT 1024) AS first
    WHERE at < now() - make_interval(days => days)
  ), removed AS (
    DELETE FROM events USING old WHERE events.xid = old.xid AND events.id = old.id AND NOT is_last
  )
  UPDATE events SET type = NULL, session_id = NULL, batch_id = NULL, task_id = NULL, caller = NULL, worker = NULL, note = NULL, changes = '{}'
  FROM old WHERE events.xid = old.xid AND events.id = old.id AND is_last AND type IS NOT NULL;
END $$;
--> statement-breakpoint
-- A new batch and its tasks have one event. A statement that extends a batch updates its row, and sets which tasks are new.
CREATE FUNCTION write_batch_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE setting jsonb := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
BEGIN
  IF setting -> 'days' = '0' THEN RETURN NULL; END IF;
  IF tg_op = 'UPDATE' THEN
    INSERT INTO events (type, session_id, batch_id, caller, changes)
    VALUES ('batch.extended', new.session_id, new.id, setting ->> 'caller',
      json_build_object('tasks', setting -> 'extended' -> new.id::text));
    RETURN NULL;
  END IF;
  INSERT INTO events (type, session_id, batch_id, caller, changes)
  VALUES ('batch.created', new.session_id, new.id, setting ->> 'caller', ('{' || substr(concat(
    ',"reason":' || to_json(new.reason)::text,
    CASE WHEN new.metadata <> '{}' THEN ',"metadata":' || new.metadata::text END,
    CASE WHEN new.created_at <> now()::timestamptz(3) THEN ',"created_at":"' || api_timestamp(new.created_at) || '"' END
  ), 2) || '}')::json);
  IF currval('events_id_seq') % 256 = 0 THEN PERFORM remove_old_events((setting ->> 'days')::int); END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER write_batch_event AFTER INSERT OR UPDATE ON batches FOR EACH ROW EXECUTE FUNCTION write_batch_event();
--> statement-breakpoint
-- Where an event of a task goes: by its transaction, but not before what happened to the task already. A transaction can get its number
-- before that of another one, and change the task after it.
CREATE FUNCTION event_xid(task uuid) RETURNS xid8 LANGUAGE plpgsql AS $$
BEGIN
  IF pg_snapshot_xmax(pg_current_snapshot()) <= pg_current_xact_id() THEN RETURN pg_current_xact_id(); END IF;
  -- A transaction with a higher number is finished.
  RETURN greatest(pg_current_xact_id(), (SELECT xid FROM events WHERE task_id = task ORDER BY xid DESC, id DESC LIMIT 1));
END $$;
--> statement-breakpoint
-- Tasks of a batch are part of its event, apart from restored ones. Most tasks have few fields: see write_task_event.
CREATE FUNCTION write_new_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  setting jsonb;
  is_restored bool;
  changes json;
BEGIN
  IF new.batch_id IS NOT NULL AND strpos(current_setting('aklp.event', true), '"restored"') IS NOT DISTINCT FROM 0 THEN RETURN NULL; END IF;
  setting := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
  is_restored := setting ? 'restored';
  IF setting -> 'days' = '0' OR (new.batch_id IS NOT NULL AND NOT is_restored) THEN RETURN NULL; END IF;
  IF new.status = 'pending' AND new.created_at = now()::timestamptz(3) AND new.blocked_by = '{}' AND new.metadata = '{}'
    AND num_nonnulls(new.due_date, new.not_before, new.result) = 0
  THEN
    changes := concat('{"title":', to_json(new.title), ',"description":' || to_json(new.description)::text,
      ',"priority":"' || new.priority || '"', '}');
  ELSE
    changes := task_changes(new, now()::timestamptz(3));
  END IF;
  INSERT INTO events (xid, type, session_id, batch_id, task_id, caller, changes)
  VALUES (
    CASE WHEN is_restored THEN event_xid(new.id) ELSE pg_current_xact_id() END,
    CASE WHEN is_restored THEN 'task.restored' ELSE 'task.created' END::event_type,
    new.session_id, new.batch_id, new.id, setting ->> 'caller', changes);
  IF currval('events_id_seq') % 256 = 0 THEN PERFORM remove_old_events((setting ->> 'days')::int); END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER write_new_task_event AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION write_new_task_event();
--> statement-breakpoint
-- A renewed lease is no event, and neither is a change that changes nothing, unless it has a note. Most changes are of the status: each
-- expression is prepared anew in each transaction, and those of the other fields only if one of these has changed.
CREATE FUNCTION write_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  setting jsonb := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
  note text;
  worker text;
  type event_type := 'task.updated';
  changes text := '';
BEGIN
  IF setting -> 'days' = '0' THEN RETURN NULL; END IF;
  IF setting ? 'notes' THEN note := setting -> 'notes' ->> new.id::text; END IF;
  IF new.status <> old.status THEN
    changes := concat(',"status":["', old.status, '","', new.status, '"]');
    IF new.completed_at IS DISTINCT FROM old.completed_at THEN
      changes := concat(changes, ',"completed_at":', json_build_array(api_timestamp(old.completed_at), api_timestamp(new.completed_at)));
    END IF;
  END IF;
  IF (new.title, new.description, new.priority, new.due_date, new.blocked_by, new.not_before, new.result, new.metadata)
    IS DISTINCT FROM
    (old.title, old.description, old.priority, old.due_date, old.blocked_by, old.not_before, old.result, old.metadata)
  THEN
    changes := concat(changes,
      CASE WHEN new.title <> old.title THEN ',"title":' || json_build_array(old.title, new.title)::text END,
      CASE WHEN new.description IS DISTINCT FROM old.description
        THEN ',"description":' || json_build_array(old.description, new.description)::text END,
      CASE WHEN new.priority IS DISTINCT FROM old.priority
        THEN ',"priority":' || json_build_array(old.priority, new.priority)::text END,
      CASE WHEN new.due_date IS DISTINCT FROM old.due_date
        THEN ',"due_date":' || json_build_array(api_timestamp(old.due_date), api_timestamp(new.due_date))::text END,
      CASE WHEN new.blocked_by <> old.blocked_by
        THEN ',"blocked_by":' || json_build_array(old.blocked_by, new.blocked_by)::text END,
      CASE WHEN new.not_before IS DISTINCT FROM old.not_before
        THEN ',"not_before":' || json_build_array(api_timestamp(old.not_before), api_timestamp(new.not_before))::text END,
      CASE WHEN new.result IS DISTINCT FROM old.result
        THEN ',"result":' || json_build_array(old.result, new.result)::text END,
      CASE WHEN new.metadata <> old.metadata
        THEN ',"metadata":' || json_build_array(old.metadata, new.metadata)::text END);
  END IF;
  -- Both have it in every other case, or neither has.
  IF new.lease_token IS NOT NULL OR old.lease_token IS NOT NULL THEN
    IF old.lease_token::text = setting ->> 'token' THEN worker := old.claimed_by; END IF;
    IF new.lease_token IS DISTINCT FROM old.lease_token THEN
      IF new.lease_token IS NOT NULL THEN
        type := 'task.claimed';
        worker := new.claimed_by;
      ELSIF new.status = 'pending' THEN
        type := 'task.released';
      END IF;
      changes := concat(changes,
        CASE WHEN new.attempts <> old.attempts THEN ',"attempts":[' || old.attempts || ',' || new.attempts || ']' END,
        CASE WHEN new.claimed_by IS DISTINCT FROM old.claimed_by
          THEN ',"claimed_by":' || json_build_array(old.claimed_by, new.claimed_by)::text END,
        CASE WHEN new.lease_expires_at IS DISTINCT FROM old.lease_expires_at
          THEN ',"lease_expires_at":' || json_build_array(api_timestamp(old.lease_expires_at), api_timestamp(new.lease_expires_at))::text END);
    END IF;
  END IF;
  IF new.updated_at = old.updated_at THEN
    IF changes = '' THEN
      IF note IS NULL THEN RETURN NULL; END IF;
      type := 'task.noted';
    END IF;
  -- Otherwise it is the time of the event.
  ELSIF new.updated_at <> now()::timestamptz(3) THEN
    changes := concat(changes, ',"updated_at":', json_build_array(api_timestamp(old.updated_at), api_timestamp(new.updated_at)));
  END IF;
  INSERT INTO events (xid, type, session_id, batch_id, task_id, caller, worker, note, changes)
  VALUES (event_xid(new.id), type, new.session_id, new.batch_id, new.id, setting ->> 'caller', worker, note,
    ('{' || substr(changes, 2) || '}')::json);
  IF currval('events_id_seq') % 256 = 0 THEN PERFORM remove_old_events((setting ->> 'days')::int); END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER write_task_event AFTER UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION write_task_event();
--> statement-breakpoint
-- It comes before the events of the tasks that the deleted one blocked: triggers for rows run before those for statements.
CREATE FUNCTION write_deleted_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE setting jsonb := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
BEGIN
  IF setting -> 'days' = '0' THEN RETURN NULL; END IF;
  INSERT INTO events (xid, type, session_id, batch_id, task_id, caller, worker, changes)
  VALUES (
    event_xid(old.id), 'task.deleted', old.session_id, old.batch_id, old.id, setting ->> 'caller',
    CASE WHEN old.lease_token::text = setting ->> 'token' THEN old.claimed_by END, task_changes(old, NULL));
  IF currval('events_id_seq') % 256 = 0 THEN PERFORM remove_old_events((setting ->> 'days')::int); END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER write_deleted_task_event AFTER DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION write_deleted_task_event();
