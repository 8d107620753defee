-- minimum server: 0000
-- The check is not valid for existing rows, which would all be read under a lock: they have the defaults.
ALTER TABLE "tasks" ADD COLUMN "key" varchar(64);--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "blocked_by" uuid[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "not_before" timestamp(3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "attempts" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "claimed_by" varchar(128);--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "lease_token" uuid;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "lease_expires_at" timestamp(3) with time zone;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "result" varchar(4000);--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "metadata" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "tasks_by_key" ON "tasks" USING btree ("batch_id","key") WHERE key is not null;--> statement-breakpoint
CREATE INDEX "tasks_by_blocker" ON "tasks" USING gin ("blocked_by") WHERE blocked_by <> '{}';--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_lease_only_in_progress" CHECK ("tasks"."lease_token" is null or "tasks"."status" = 'in_progress') NOT VALID;
