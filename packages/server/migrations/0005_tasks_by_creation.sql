-- minimum server: 0000
CREATE INDEX "tasks_by_creation" ON "tasks" USING btree ("created_at","id");