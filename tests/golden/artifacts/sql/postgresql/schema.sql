-- The event table of db:5432/experiments
-- Written by `backplane compile`: change the document and compile again, not this file.
--
-- Safe to run again: what is there is left alone. All or nothing: one transaction.
BEGIN;

CREATE SCHEMA IF NOT EXISTS "ops";

CREATE TABLE IF NOT EXISTS "ops"."experiment_events" (
    "id" bigint GENERATED ALWAYS AS IDENTITY,
    "event_id" text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    "event_type" text NOT NULL,
    "schema_version" text NOT NULL,
    "payload_json" text NOT NULL,
    "correlation_id" text,
    "metadata_json" text,
    "created_at" timestamptz DEFAULT now(),
    CONSTRAINT "experiment_events_pk" PRIMARY KEY ("id"),
    CONSTRAINT "experiment_events_uq_event_id" UNIQUE ("event_id")
);

CREATE INDEX IF NOT EXISTS "ix_experiment_events_correlation_id" ON "ops"."experiment_events" ("correlation_id") WHERE "correlation_id" IS NOT NULL;

CREATE INDEX IF NOT EXISTS "ix_experiment_events_event_type_timestamp" ON "ops"."experiment_events" ("event_type", "timestamp" DESC);

CREATE INDEX IF NOT EXISTS "ix_experiment_events_timestamp" ON "ops"."experiment_events" ("timestamp");

COMMIT;
