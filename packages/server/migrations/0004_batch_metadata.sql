-- minimum server: 0000
ALTER TABLE "batches" ADD COLUMN "metadata" jsonb DEFAULT '{}'::jsonb NOT NULL;