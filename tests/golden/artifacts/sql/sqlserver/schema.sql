-- The event table of db/Experiments
-- Written by `backplane compile`: change the document and compile again, not this file.
--
-- Safe to run again: what is there is left alone. All or nothing: one batch, one transaction, no GO, so that it does the
-- same in sqlcmd, in a driver, and in a client that goes on after an error.
SET NOCOUNT ON;
SET XACT_ABORT ON;
-- Filtered indexes ask for these; sqlcmd has QUOTED_IDENTIFIER off unless it is told `-I`.
SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON;
SET NUMERIC_ROUNDABORT OFF;

BEGIN TRY
    BEGIN TRANSACTION;

    -- Two deployments at once: the second waits for the first, and then finds everything there.
    DECLARE @lock int;
    EXEC @lock = sp_getapplock @Resource = N'experiment-backplane', @LockMode = N'Exclusive',
        @LockOwner = N'Transaction', @LockTimeout = 60000;
    IF @lock < 0
        RAISERROR (N'another deployment of experiment-backplane is under way', 16, 1);

    IF SCHEMA_ID(N'ops') IS NULL
        EXEC (N'CREATE SCHEMA [ops];');

    IF OBJECT_ID(N'[ops].[ExperimentEvents]', N'U') IS NULL
        EXEC (N'CREATE TABLE [ops].[ExperimentEvents] (
    [Id] bigint IDENTITY(1,1) NOT NULL,
    [EventId] nvarchar(100) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [Timestamp] datetimeoffset NOT NULL,
    [EventType] nvarchar(50) NOT NULL,
    [SchemaVersion] nvarchar(20) NOT NULL,
    [PayloadJson] nvarchar(max) NOT NULL,
    [CorrelationId] nvarchar(100) NULL,
    [MetadataJson] nvarchar(max) NULL,
    [CreatedAt] datetimeoffset NULL CONSTRAINT [DF_ExperimentEvents_CreatedAt] DEFAULT SYSDATETIMEOFFSET(),
    CONSTRAINT [PK_ExperimentEvents] PRIMARY KEY CLUSTERED ([Id]),
    CONSTRAINT [UQ_ExperimentEvents_EventId] UNIQUE NONCLUSTERED ([EventId])
);');

    IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'[ops].[ExperimentEvents]') AND name = N'IX_ExperimentEvents_CorrelationId')
        EXEC (N'CREATE NONCLUSTERED INDEX [IX_ExperimentEvents_CorrelationId] ON [ops].[ExperimentEvents] ([CorrelationId] ASC) WHERE [CorrelationId] IS NOT NULL;');

    IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'[ops].[ExperimentEvents]') AND name = N'IX_ExperimentEvents_EventType_Timestamp')
        EXEC (N'CREATE NONCLUSTERED INDEX [IX_ExperimentEvents_EventType_Timestamp] ON [ops].[ExperimentEvents] ([EventType] ASC, [Timestamp] DESC);');

    IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'[ops].[ExperimentEvents]') AND name = N'IX_ExperimentEvents_Timestamp')
        EXEC (N'CREATE NONCLUSTERED INDEX [IX_ExperimentEvents_Timestamp] ON [ops].[ExperimentEvents] ([Timestamp] ASC);');

    COMMIT TRANSACTION;
END TRY
BEGIN CATCH
    IF @@TRANCOUNT > 0
        ROLLBACK TRANSACTION;
    THROW;
END CATCH;
