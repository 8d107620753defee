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
-- holds, `notes` by the id of the task, and what it `creates`: `task` or `batch` if nothing else, `restored` for tasks that were
-- deleted before. Without the setting, an event has no caller.
--
-- Events are in the order of their transactions, but none of a task comes before what happened to it already: a transaction can get its
-- number before that of another one, and change the task after it.
--
-- Triggers for each row, as far as a row is an event: a transition table
-- with its join costs a single change more than twice as much. No trigger has a condition: PostgreSQL plans them anew for each statement.

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
-- Takes away old events, at each 256th event that is written: more than are added, so that none pile up. The last of them stays, empty,
-- as the mark that those before it are missing.
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
-- A batch has one event, which is that of its tasks, too.
CREATE FUNCTION write_batch_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE setting jsonb := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
BEGIN
  IF setting -> 'days' = '0' THEN RETURN NULL; END IF;
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
CREATE TRIGGER write_batch_event AFTER INSERT ON batches FOR EACH ROW EXECUTE FUNCTION write_batch_event();
--> statement-breakpoint
-- Tasks of a batch that the same transaction created are part of its event; others extend their batch, which is one event. A restored
-- task is an event of its own, whatever it belongs to.
CREATE FUNCTION write_new_task_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  setting jsonb := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
  creates text := setting ->> 'creates';
  of_tasks int;
  of_batches int := 0;
BEGIN
  IF setting -> 'days' = '0' OR creates = 'batch' THEN RETURN NULL; END IF;
  INSERT INTO events (xid, type, session_id, batch_id, task_id, caller, changes)
  SELECT
    CASE WHEN creates = 'restored' THEN greatest(pg_current_xact_id(), (
      SELECT xid FROM events WHERE task_id = new_rows.id ORDER BY xid DESC, id DESC LIMIT 1)) ELSE pg_current_xact_id() END,
    CASE WHEN creates = 'restored' THEN 'task.restored' ELSE 'task.created' END::event_type, session_id, batch_id, id,
    setting ->> 'caller', task_changes(ROW(new_rows.*)::tasks, now()::timestamptz(3))
  FROM new_rows WHERE batch_id IS NULL OR creates = 'restored';
  GET DIAGNOSTICS of_tasks = ROW_COUNT;
  IF creates IS NULL THEN
    INSERT INTO events (type, session_id, batch_id, caller, changes)
    SELECT 'batch.extended', session_id, id, setting ->> 'caller', json_build_object('tasks', new_ids)
    FROM (
      SELECT batch_id, json_agg(id ORDER BY position, id) AS new_ids FROM new_rows WHERE batch_id IS NOT NULL GROUP BY batch_id
    ) AS added JOIN batches ON batches.id = added.batch_id
    WHERE batches.xmin <> pg_current_xact_id()::xid;
    GET DIAGNOSTICS of_batches = ROW_COUNT;
  END IF;
  IF of_tasks + of_batches > 0 AND currval('events_id_seq') % 256 < of_tasks + of_batches THEN
    PERFORM remove_old_events((setting ->> 'days')::int);
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER write_new_task_events AFTER INSERT ON tasks REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
EXECUTE FUNCTION write_new_task_events();
--> statement-breakpoint
-- A renewed lease is no event, and neither is a change that changes nothing, unless it has a note. Fields that seldom change are
-- looked at only if one of them did: each expression that runs costs a microsecond.
CREATE FUNCTION write_task_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  setting jsonb := coalesce(nullif(current_setting('aklp.event', true), ''), '{}');
  note text;
  worker text;
  changes text := '';
BEGIN
  IF setting -> 'days' = '0' THEN RETURN NULL; END IF;
  note := setting -> 'notes' ->> new.id::text;
  IF new.title <> old.title THEN
    changes := concat(changes, ',"title":', json_build_array(old.title, new.title));
  END IF;
  IF new.status <> old.status THEN
    changes := concat(changes, ',"status":["', old.status, '","', new.status, '"]');
  END IF;
  IF (new.description, new.priority, new.due_date, new.blocked_by, new.not_before, new.attempts, new.lease_token, new.result,
      new.metadata, new.completed_at)
    IS DISTINCT FROM (old.description, old.priority, old.due_date, old.blocked_by, old.not_before, old.attempts, old.lease_token,
      old.result, old.metadata, old.completed_at)
  THEN
    changes := concat(changes,
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
      CASE WHEN new.attempts <> old.attempts
        THEN ',"attempts":[' || old.attempts || ',' || new.attempts || ']' END,
      CASE WHEN new.claimed_by IS DISTINCT FROM old.claimed_by
        THEN ',"claimed_by":' || json_build_array(old.claimed_by, new.claimed_by)::text END,
      CASE WHEN new.lease_expires_at IS DISTINCT FROM old.lease_expires_at AND new.lease_token IS DISTINCT FROM old.lease_token
        THEN ',"lease_expires_at":' || json_build_array(api_timestamp(old.lease_expires_at), api_timestamp(new.lease_expires_at))::text END,
      CASE WHEN new.result IS DISTINCT FROM old.result
        THEN ',"result":' || json_build_array(old.result, new.result)::text END,
      CASE WHEN new.metadata <> old.metadata
        THEN ',"metadata":' || json_build_array(old.metadata, new.metadata)::text END,
      CASE WHEN new.completed_at IS DISTINCT FROM old.completed_at
        THEN ',"completed_at":' || json_build_array(api_timestamp(old.completed_at), api_timestamp(new.completed_at))::text END);
  END IF;
  -- Otherwise it is the time of the event.
  IF new.updated_at <> old.updated_at AND new.updated_at <> now()::timestamptz(3) THEN
    changes := concat(changes, ',"updated_at":', json_build_array(api_timestamp(old.updated_at), api_timestamp(new.updated_at)));
  END IF;
  IF changes = '' AND new.updated_at = old.updated_at AND note IS NULL THEN RETURN NULL; END IF;
  IF new.lease_token IS DISTINCT FROM old.lease_token AND new.lease_token IS NOT NULL THEN worker := new.claimed_by;
  ELSIF old.lease_token::text = setting ->> 'token' THEN worker := old.claimed_by;
  END IF;
  INSERT INTO events (xid, type, session_id, batch_id, task_id, caller, worker, note, changes)
  VALUES (
    greatest(pg_current_xact_id(), (SELECT xid FROM events WHERE task_id = new.id ORDER BY xid DESC, id DESC LIMIT 1)),
    CASE
      WHEN new.lease_token IS DISTINCT FROM old.lease_token AND new.lease_token IS NOT NULL THEN 'task.claimed'
      WHEN new.lease_token IS NULL AND old.lease_token IS NOT NULL AND new.status = 'pending' THEN 'task.released'
      WHEN changes = '' AND new.updated_at = old.updated_at THEN 'task.noted'
      ELSE 'task.updated'
    END::event_type,
    new.session_id, new.batch_id, new.id, setting ->> 'caller', worker, note, ('{' || substr(changes, 2) || '}')::json);
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
    greatest(pg_current_xact_id(), (SELECT xid FROM events WHERE task_id = old.id ORDER BY xid DESC, id DESC LIMIT 1)),
    'task.deleted', old.session_id, old.batch_id, old.id, setting ->> 'caller',
    CASE WHEN old.lease_token::text = setting ->> 'token' THEN old.claimed_by END, task_changes(old, NULL));
  IF currval('events_id_seq') % 256 = 0 THEN PERFORM remove_old_events((setting ->> 'days')::int); END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER write_deleted_task_event AFTER DELETE ON tasks FOR EACH ROW EXECUTE FUNCTION write_deleted_task_event();
