-- minimum server: 0000
-- The checks are not valid for existing rows, which would all be read under a lock: they have the defaults.
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
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_lease_only_in_progress" CHECK (case when "tasks"."lease_token" is null
          then "tasks"."claimed_by" is null and "tasks"."lease_expires_at" is null
          else "tasks"."claimed_by" is not null and "tasks"."lease_expires_at" is not null and "tasks"."status" = 'in_progress' end) NOT VALID;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_metadata_size" CHECK ("tasks"."metadata" = '{}' or (octet_length(json_strip_nulls("tasks"."metadata"::json)::text) <= 8192 and octet_length("tasks"."metadata"::text) <= 16384)) NOT VALID;
