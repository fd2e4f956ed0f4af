/**
 * Every statement that the agent runs on its database.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { IDEMPOTENCY_KEY_LIFE_MS } from "@kedge/schema";
import {
  and,
  asc,
  desc,
  eq,
  getTableColumns,
  gt,
  gte,
  lt,
  lte,
  max,
  sql,
} from "drizzle-orm";
import type {
  SQLiteTable,
  SQLiteUpdateSetSource,
} from "drizzle-orm/sqlite-core";
import {
  type ChangeRow,
  changes,
  type FileRow,
  files,
  idempotency,
  paths,
  positions,
  state,
  tombstones,
  unsettled,
  type UnsettledRow,
} from "@kedge/schema/db";
import { Prepared, write } from "./database.ts";

const at = sql.placeholder;

/** Statements that only read; for either connection. */
export class ReadStatements {
  /** One row of the index, by `id`. */
  readonly file: Prepared<FileRow>;
  /** Rows from `from` (included) to `to` (excluded), at most `limit`. */
  readonly filesBetween: Prepared<FileRow>;
  /** Damaged rows after `from`, at most `limit`. */
  readonly damagedFiles: Prepared<FileRow>;
  /** Changes of `incarnation` after `sequence`, at most `limit`. */
  readonly changesAfter: Prepared<ChangeRow>;
  /** The oldest change that is kept. */
  readonly firstChange: Prepared<{ incarnation: number; sequence: number }>;
  /** The next incarnation after `incarnation` that has changes. */
  readonly nextIncarnation: Prepared<{ incarnation: number }>;
  /** Last sequence of `incarnation`. */
  readonly lastSequence: Prepared<{ last: number | null }>;
  /** All positions. */
  readonly positions: Prepared<typeof positions.$inferSelect>;
  /** One fact, by `key`. */
  readonly state: Prepared<{ value: string }>;
  /** One idempotency key. */
  readonly key: Prepared<typeof idempotency.$inferSelect>;
  /** The idempotency key of the last keyed change of file `id`. */
  readonly keyOf: Prepared<typeof idempotency.$inferSelect>;
  /** Unsettled rows of file `id`, oldest first. */
  readonly unsettledOf: Prepared<UnsettledRow>;
  /** Tombstones after stamp `after` up to `upTo`, at most `limit`. */
  readonly tombstones: Prepared<typeof tombstones.$inferSelect>;
  /** The highest stamp of a tombstone. */
  readonly lastTombstone: Prepared<{ last: number | null }>;
  /** How many damaged files the index has on a store path. */
  readonly damagedOn: Prepared<{ count: number }>;
  /** Fences of store paths. */
  readonly paths: Prepared<typeof paths.$inferSelect>;

  /** Prepare them on a connection. */
  constructor(database: DatabaseSync) {
    const prepare = <Row>(query: ConstructorParameters<typeof Prepared>[1]) =>
      new Prepared<Row>(database, query);
    this.file = prepare(
      write.select().from(files).where(eq(files.id, at("id"))),
    );
    this.filesBetween = prepare(
      write.select().from(files)
        .where(and(gte(files.id, at("from")), lt(files.id, at("to"))))
        .orderBy(asc(files.id)).limit(at("limit")),
    );
    this.damagedFiles = prepare(
      // The literal makes SQLite use the partial index.
      write.select().from(files)
        .where(and(sql`${files.damaged} = 1`, gt(files.id, at("from"))))
        .orderBy(asc(files.id)).limit(at("limit")),
    );
    this.changesAfter = prepare(
      write.select().from(changes).where(and(
        eq(changes.incarnation, at("incarnation")),
        gt(changes.sequence, at("sequence")),
      )).orderBy(asc(changes.sequence)).limit(at("limit")),
    );
    this.firstChange = prepare(
      write.select({
        incarnation: changes.incarnation,
        sequence: changes.sequence,
      }).from(changes)
        .orderBy(asc(changes.incarnation), asc(changes.sequence)).limit(1),
    );
    this.nextIncarnation = prepare(
      write.select({ incarnation: changes.incarnation }).from(changes)
        .where(gt(changes.incarnation, at("incarnation")))
        .orderBy(asc(changes.incarnation)).limit(1),
    );
    this.lastSequence = prepare(
      write.select({ last: max(changes.sequence).as("last") }).from(changes)
        .where(eq(changes.incarnation, at("incarnation"))),
    );
    this.positions = prepare(
      write.select().from(positions)
        .orderBy(asc(positions.origin), asc(positions.incarnation)),
    );
    this.state = prepare(
      write.select({ value: state.value }).from(state)
        .where(eq(state.key, at("key"))),
    );
    this.key = prepare(
      write.select().from(idempotency).where(eq(idempotency.key, at("key"))),
    );
    this.keyOf = prepare(
      write.select().from(idempotency).where(eq(idempotency.id, at("id")))
        .orderBy(desc(idempotency.usedMs)).limit(1),
    );
    this.unsettledOf = prepare(
      write.select().from(unsettled).where(eq(unsettled.id, at("id")))
        .orderBy(asc(unsettled.number)),
    );
    this.damagedOn = prepare(
      write.select({ count: sql<number>`count(*)`.as("count") }).from(files)
        .where(and(
          sql`${files.damaged} = 1`,
          eq(files.pathIndex, at("pathIndex")),
        )),
    );
    this.paths = prepare(write.select().from(paths));
    this.tombstones = prepare(
      write.select().from(tombstones).where(and(
        gt(tombstones.stamp, at("after")),
        lte(tombstones.stamp, at("upTo")),
      )).orderBy(asc(tombstones.stamp)).limit(at("limit")),
    );
    this.lastTombstone = prepare(
      write.select({ last: max(tombstones.stamp).as("last") })
        .from(tombstones),
    );
  }
}

/** Statements of the one connection that writes. */
export class WriteStatements extends ReadStatements {
  readonly begin: () => void;
  readonly commit: () => void;
  readonly putFile: Prepared;
  readonly dropFile: Prepared;
  readonly markFile: Prepared;
  /**
   * Every file of a store path is damaged, but for those of which the database
   * still knows how to bring them to the disk.
   */
  readonly emptyPath: Prepared;
  readonly putChange: Prepared;
  /** Forget the changes of `incarnation` up to `sequence`. */
  readonly dropChanges: Prepared;
  readonly putUnsettled: Prepared;
  /** Unsettled rows with numbers from `from` to `to`, both included. */
  readonly dropUnsettled: Prepared;
  readonly firstUnsettled: Prepared<UnsettledRow>;
  readonly lastUnsettled: Prepared<{ last: number | null }>;
  readonly putPosition: Prepared;
  /** Forget positions in runs of `origin` before `incarnation`. */
  readonly dropPositions: Prepared;
  readonly putState: Prepared;
  readonly dropState: Prepared;
  readonly putKey: Prepared;
  readonly dropKeys: Prepared;
  readonly putPath: Prepared;
  readonly putTombstone: Prepared;
  readonly dropTombstone: Prepared;
  /** Stamp of the tombstone of file `id`. */
  readonly tombstoneOf: Prepared<{ stamp: number }>;
  readonly countTombstones: Prepared<{ count: number }>;

  /** Prepare them on the connection that writes. */
  constructor(database: DatabaseSync) {
    super(database);
    const begin = database.prepare("BEGIN IMMEDIATE");
    const commit = database.prepare("COMMIT");
    this.begin = () => void begin.run();
    this.commit = () => void commit.run();
    const prepare = <Row = never>(
      query: ConstructorParameters<typeof Prepared>[1],
    ) => new Prepared<Row>(database, query);
    this.putFile = prepare(
      write.insert(files).values(placeholders(files))
        .onConflictDoUpdate({ target: files.id, set: excluded(files, "id") }),
    );
    this.dropFile = prepare(write.delete(files).where(eq(files.id, at("id"))));
    this.markFile = prepare(
      write.update(files).set({ damaged: sql`${at("damaged")}` }).where(and(
        eq(files.id, at("id")),
        eq(files.epoch, at("epoch")),
        eq(files.version, at("version")),
      )),
    );
    this.emptyPath = prepare(
      write.update(files).set({ damaged: 1 }).where(and(
        eq(files.pathIndex, at("pathIndex")),
        eq(files.tombstone, 0),
        sql`${files.id} NOT IN (SELECT id FROM unsettled WHERE kind <> 'unlink')`,
      )),
    );
    this.putChange = prepare(
      write.insert(changes).values(placeholders(changes)),
    );
    this.dropChanges = prepare(
      write.delete(changes).where(and(
        eq(changes.incarnation, at("incarnation")),
        lte(changes.sequence, at("sequence")),
      )),
    );
    this.putUnsettled = prepare(
      write.insert(unsettled).values(placeholders(unsettled)),
    );
    this.dropUnsettled = prepare(
      write.delete(unsettled).where(and(
        gte(unsettled.number, at("from")),
        lte(unsettled.number, at("to")),
      )),
    );
    this.firstUnsettled = prepare(
      write.select().from(unsettled).where(gt(unsettled.number, at("number")))
        .orderBy(asc(unsettled.number)).limit(1),
    );
    this.lastUnsettled = prepare(
      write.select({ last: max(unsettled.number).as("last") }).from(unsettled),
    );
    this.putPosition = prepare(
      write.insert(positions).values(placeholders(positions))
        .onConflictDoUpdate({
          target: [positions.origin, positions.incarnation],
          set: { sequence: sql`excluded.sequence` },
        }),
    );
    this.dropPositions = prepare(
      write.delete(positions).where(and(
        eq(positions.origin, at("origin")),
        lt(positions.incarnation, at("incarnation")),
      )),
    );
    this.putState = prepare(
      write.insert(state).values(placeholders(state))
        .onConflictDoUpdate({
          target: state.key,
          set: { value: sql`excluded.value` },
        }),
    );
    this.dropState = prepare(
      write.delete(state).where(eq(state.key, at("key"))),
    );
    this.putKey = prepare(
      write.insert(idempotency).values(placeholders(idempotency))
        .onConflictDoUpdate({
          target: idempotency.key,
          set: excluded(idempotency, "key"),
          // The same winner on every node, whatever arrives first: an upload
          // that went on without its first source has the higher epoch.
          setWhere: sql`excluded.epoch > ${idempotency.epoch}
            OR (excluded.epoch = ${idempotency.epoch}
              AND excluded.id <= ${idempotency.id})
            OR excluded.usedMs > ${idempotency.usedMs} + ${IDEMPOTENCY_KEY_LIFE_MS}`,
        }),
    );
    this.dropKeys = prepare(
      write.delete(idempotency).where(lt(idempotency.usedMs, at("beforeMs"))),
    );
    this.putPath = prepare(
      write.insert(paths).values(placeholders(paths))
        .onConflictDoUpdate({
          target: paths.pathIndex,
          set: { fenced: sql`excluded.fenced` },
        }),
    );
    this.putTombstone = prepare(
      write.insert(tombstones).values(placeholders(tombstones))
        .onConflictDoUpdate({
          target: tombstones.id,
          set: { stamp: sql`excluded.stamp` },
        }),
    );
    this.dropTombstone = prepare(
      write.delete(tombstones).where(eq(tombstones.id, at("id"))),
    );
    this.tombstoneOf = prepare(
      write.select({ stamp: tombstones.stamp }).from(tombstones)
        .where(eq(tombstones.id, at("id"))),
    );
    this.countTombstones = prepare(
      write.select({ count: sql<number>`count(*)`.as("count") })
        .from(tombstones),
    );
  }
}

/** A placeholder for every column, named as the column. */
function placeholders<T extends SQLiteTable>(table: T): T["$inferInsert"] {
  const names = Object.keys(getTableColumns(table));
  const values = names.map((name) => [name, sql.placeholder(name)]);
  return Object.fromEntries(values) as T["$inferInsert"];
}

/** Every column but the key gets the value that was to be inserted. */
function excluded<T extends SQLiteTable>(
  table: T,
  key: string,
): SQLiteUpdateSetSource<T> {
  const names = Object.keys(getTableColumns(table))
    .filter((name) => name !== key);
  const values = names.map((name) => [name, sql.raw(`excluded."${name}"`)]);
  return Object.fromEntries(values) as SQLiteUpdateSetSource<T>;
}
