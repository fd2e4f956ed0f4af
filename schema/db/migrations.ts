/**
 * The steps from an empty database to the present one, in order. A step that
 * was released is never changed: add another, and its hash to the test.
 *
 * @module
 */

/** SQL per version; `PRAGMA user_version` counts the steps done. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE state (
    key TEXT PRIMARY KEY, value TEXT NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE paths (
    pathIndex INTEGER PRIMARY KEY, fenced TEXT
  ) STRICT;
  CREATE TABLE changes (
    incarnation INTEGER NOT NULL, sequence INTEGER NOT NULL,
    tombstone INTEGER NOT NULL, record TEXT NOT NULL, crc32 INTEGER NOT NULL,
    PRIMARY KEY (incarnation, sequence)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE files (
    id TEXT PRIMARY KEY, tombstone INTEGER NOT NULL, epoch INTEGER NOT NULL,
    version INTEGER NOT NULL, origin INTEGER NOT NULL,
    sizeBytes INTEGER NOT NULL, crc32 INTEGER NOT NULL, sha256 TEXT, type TEXT,
    name TEXT, meta TEXT, createdS INTEGER NOT NULL, appender INTEGER NOT NULL,
    master TEXT, pathIndex INTEGER NOT NULL, damaged INTEGER NOT NULL,
    blockCrcs BLOB
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX files_damaged ON files (damaged) WHERE damaged = 1;
  CREATE TABLE tombstones (
    stamp INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE unsettled (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, epoch INTEGER NOT NULL,
    version INTEGER NOT NULL, kind TEXT NOT NULL, pathIndex INTEGER NOT NULL,
    token TEXT NOT NULL, offset INTEGER NOT NULL, payload BLOB
  ) STRICT;
  CREATE TABLE positions (
    origin INTEGER NOT NULL, incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL, PRIMARY KEY (origin, incarnation)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE idempotency (
    key TEXT PRIMARY KEY, id TEXT NOT NULL, sha256 TEXT NOT NULL,
    epoch INTEGER NOT NULL, usedMs INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  `,
  // A file that a comparison brings comes with its key.
  "CREATE INDEX idempotency_id ON idempotency (id, usedMs);",
  // Small files that share a file; see `schema/disk/segment.ts`. The bytes of a
  // segment that are needed are counted here, so that no crash can leave a
  // wrong count.
  `
  CREATE TABLE segments (
    pathIndex INTEGER NOT NULL, segment INTEGER NOT NULL,
    sizeBytes INTEGER NOT NULL, liveBytes INTEGER NOT NULL,
    PRIMARY KEY (pathIndex, segment)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE packed (
    id TEXT PRIMARY KEY, pathIndex INTEGER NOT NULL, segment INTEGER NOT NULL,
    offset INTEGER NOT NULL, lengthBytes INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE UNIQUE INDEX packed_place ON packed (pathIndex, segment, offset);
  CREATE TRIGGER packed_in AFTER INSERT ON packed BEGIN
    UPDATE segments SET liveBytes = liveBytes + NEW.lengthBytes
    WHERE pathIndex = NEW.pathIndex AND segment = NEW.segment;
  END;
  CREATE TRIGGER packed_out AFTER DELETE ON packed BEGIN
    UPDATE segments SET liveBytes = liveBytes - OLD.lengthBytes
    WHERE pathIndex = OLD.pathIndex AND segment = OLD.segment;
  END;
  CREATE TRIGGER packed_move AFTER UPDATE ON packed BEGIN
    UPDATE segments SET liveBytes = liveBytes - OLD.lengthBytes
    WHERE pathIndex = OLD.pathIndex AND segment = OLD.segment;
    UPDATE segments SET liveBytes = liveBytes + NEW.lengthBytes
    WHERE pathIndex = NEW.pathIndex AND segment = NEW.segment;
  END;
  `,
];
