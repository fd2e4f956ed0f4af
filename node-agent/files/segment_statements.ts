/**
 * Statements about files that lie in segments.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { and, asc, eq, gt, sql } from "drizzle-orm";
import {
  packed,
  type PackedRow,
  type SegmentRow,
  segments,
} from "@kedge/schema/db";
import { Prepared, write } from "./database.ts";

const at = sql.placeholder;

/** Reading: where the bytes of a file lie. */
export class SegmentReads {
  /** Place of file `id`. */
  readonly placeOf: Prepared<PackedRow>;

  /** Prepare on either connection. */
  constructor(database: DatabaseSync) {
    this.placeOf = new Prepared(
      database,
      write.select().from(packed).where(eq(packed.id, at("id"))),
    );
  }
}

/** The connection that writes. */
export class SegmentStatements extends SegmentReads {
  readonly putPlace: Prepared;
  readonly dropPlace: Prepared;
  /** The file `id` lies elsewhere from now on. */
  readonly movePlace: Prepared;
  /** Places in `segment` of `pathIndex` behind `offset`, at most `limit`. */
  readonly placesIn: Prepared<PackedRow>;
  /** Segments of `pathIndex`, in order. */
  readonly segmentsOn: Prepared<SegmentRow>;
  /** Note the length of a segment; its count of needed bytes stays. */
  readonly putSegment: Prepared;
  readonly dropSegment: Prepared;
  /** Forget all places, or segments, of `pathIndex`. */
  readonly dropPlacesOn: Prepared;
  readonly dropSegmentsOn: Prepared;
  readonly anySegment: Prepared<SegmentRow>;

  /** Prepare on the connection that writes. */
  constructor(database: DatabaseSync) {
    super(database);
    const prepare = <Row = never>(
      query: ConstructorParameters<typeof Prepared>[1],
    ) => new Prepared<Row>(database, query);
    const place = {
      pathIndex: at("pathIndex"),
      segment: at("segment"),
      offset: at("offset"),
      lengthBytes: at("lengthBytes"),
    };
    this.putPlace = prepare(
      write.insert(packed).values({ id: at("id"), ...place }),
    );
    this.dropPlace = prepare(
      write.delete(packed).where(eq(packed.id, at("id"))),
    );
    this.movePlace = prepare(
      write.update(packed).set({
        segment: sql`${at("segment")}`,
        offset: sql`${at("offset")}`,
      }).where(eq(packed.id, at("id"))),
    );
    this.placesIn = prepare(
      write.select().from(packed).where(and(
        eq(packed.pathIndex, at("pathIndex")),
        eq(packed.segment, at("segment")),
        gt(packed.offset, at("offset")),
      )).orderBy(asc(packed.offset)).limit(at("limit")),
    );
    this.segmentsOn = prepare(
      write.select().from(segments)
        .where(eq(segments.pathIndex, at("pathIndex")))
        .orderBy(asc(segments.segment)),
    );
    this.putSegment = prepare(
      write.insert(segments).values({
        pathIndex: at("pathIndex"),
        segment: at("segment"),
        sizeBytes: at("sizeBytes"),
        liveBytes: 0,
      }).onConflictDoUpdate({
        target: [segments.pathIndex, segments.segment],
        set: { sizeBytes: sql`excluded.sizeBytes` },
      }),
    );
    this.dropSegment = prepare(
      write.delete(segments).where(and(
        eq(segments.pathIndex, at("pathIndex")),
        eq(segments.segment, at("segment")),
      )),
    );
    this.dropPlacesOn = prepare(
      write.delete(packed).where(eq(packed.pathIndex, at("pathIndex"))),
    );
    this.dropSegmentsOn = prepare(
      write.delete(segments).where(eq(segments.pathIndex, at("pathIndex"))),
    );
    this.anySegment = prepare(write.select().from(segments).limit(1));
  }
}
