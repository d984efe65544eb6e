-- The event table of experiment-events.db
-- Written by `backplane compile`: change the document and compile again, not this file.
--
-- Safe to run again: what is there is left alone. All or nothing: one transaction (with the command line: `sqlite3 -bail`).
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS "ExperimentEvents" (
    "Id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "EventId" TEXT NOT NULL,
    "Timestamp" TEXT NOT NULL,
    "EventType" TEXT NOT NULL,
    "SchemaVersion" TEXT NOT NULL,
    "PayloadJson" TEXT NOT NULL,
    "CorrelationId" TEXT,
    "MetadataJson" TEXT,
    "CreatedAt" TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CONSTRAINT "UQ_ExperimentEvents_EventId" UNIQUE ("EventId")
);

CREATE INDEX IF NOT EXISTS "IX_ExperimentEvents_CorrelationId" ON "ExperimentEvents" ("CorrelationId") WHERE "CorrelationId" IS NOT NULL;

CREATE INDEX IF NOT EXISTS "IX_ExperimentEvents_EventType_Timestamp" ON "ExperimentEvents" ("EventType", "Timestamp" DESC);

CREATE INDEX IF NOT EXISTS "IX_ExperimentEvents_Timestamp" ON "ExperimentEvents" ("Timestamp");

COMMIT;
