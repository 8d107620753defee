-- minimum server: 0000
CREATE INDEX "tasks_by_creation" ON "tasks" USING btree ("created_at","id");--> statement-breakpoint
-- A sample of a large table finds too few of its sessions and batches: with ten million tasks, PostgreSQL expected 106 in a
-- session of forty, and planned each list of a session anew. As parts of the rows: forty to a session, ten to a batch.
ALTER TABLE "tasks" ALTER COLUMN "session_id" SET (n_distinct = -0.025);--> statement-breakpoint
ALTER TABLE "tasks" ALTER COLUMN "batch_id" SET (n_distinct = -0.1);
