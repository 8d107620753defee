-- minimum server: 0000
CREATE TYPE "public"."task_priority" AS ENUM('low', 'medium', 'high');--> statement-breakpoint
CREATE TYPE "public"."task_status" AS ENUM('pending', 'in_progress', 'completed');--> statement-breakpoint
CREATE TABLE "batches" (
	"id" uuid PRIMARY KEY NOT NULL,
	"session_id" uuid,
	"reason" varchar(10000),
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"id" uuid PRIMARY KEY NOT NULL,
	"session_id" uuid,
	"batch_id" uuid,
	"position" integer DEFAULT 0 NOT NULL,
	"title" varchar(255) NOT NULL,
	"description" varchar(1000),
	"status" "task_status" DEFAULT 'pending' NOT NULL,
	"priority" "task_priority",
	"due_date" timestamp(3) with time zone,
	"completed_at" timestamp(3) with time zone,
	"created_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp(3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tasks_title_not_empty" CHECK ("tasks"."title" <> ''),
	CONSTRAINT "tasks_completed_at_iff_completed" CHECK (("tasks"."status" = 'completed') = ("tasks"."completed_at" is not null))
);
--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_batch_id_batches_id_fk" FOREIGN KEY ("batch_id") REFERENCES "public"."batches"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "batches_by_session" ON "batches" USING btree ("session_id","created_at","id");--> statement-breakpoint
CREATE INDEX "batches_by_creation" ON "batches" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "tasks_by_session" ON "tasks" USING btree ("session_id","updated_at","id");--> statement-breakpoint
CREATE INDEX "tasks_by_status" ON "tasks" USING btree ("status","updated_at","id");--> statement-breakpoint
CREATE INDEX "tasks_by_update" ON "tasks" USING btree ("updated_at","id");--> statement-breakpoint
CREATE INDEX "tasks_by_batch" ON "tasks" USING btree ("batch_id","position");