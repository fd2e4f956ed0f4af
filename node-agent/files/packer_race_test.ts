import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { rowOf } from "@kedge/schema/db";
import { encodeFileName } from "@kedge/schema/file-id";
import { Compactor } from "./compactor.ts";
import { openForWriting } from "./database.ts";
import type { Pending } from "./file_actions.ts";
import { Layout } from "./layout.ts";
import { Packer, type PackerParts, PutOff } from "./packer.ts";
import { PackedReader } from "./packed_reader.ts";
import { type SegmentReads, SegmentStatements } from "./segment_statements.ts";
import { scanSegment } from "./segments.ts";
import { SlowDisks } from "./slow_disks.ts";
import { factsOf, newEntry, someBytes } from "./store_fixture.ts";
import { ReadStatements, WriteStatements } from "./statements.ts";

/** A packer on its own, without the worker around it. */
class Bench {
  readonly layout: Layout;
  readonly statements: WriteStatements;
  readonly parts: PackerParts;
  readonly packer: Packer;
  #number = 0;
  mayWrite = true;
  /** Whether the database has no room. */
  isFull = false;
  /** Whether a commit failed: it may be stored all the same. */
  isOver = false;

  constructor(dir: string) {
    Deno.mkdirSync(`${dir}/p0/data`, { recursive: true });
    this.layout = new Layout(dir, [`${dir}/p0`]);
    Deno.writeTextFileSync(this.layout.marker(0), "");
    const database = openForWriting(this.layout.database);
    this.statements = new WriteStatements(database);
    this.parts = {
      database,
      statements: this.statements,
      layout: this.layout,
      transact: (act) => {
        if (this.isFull || this.isOver) throw new PutOff("nothing was stored");
        this.statements.begin();
        act();
        this.statements.commit();
      },
      fence: (_, reason) => assert.fail(reason),
      mayWrite: () => this.mayWrite,
      isOver: () => this.isOver,
      warn: (message) => assert.fail(message),
    };
    const segments = new SegmentStatements(database);
    this.packer = new Packer(this.parts, segments, { segmentBytes: 4000 });
    this.packer.sizeBytesMax = 4096;
  }

  upload(seed: number): Pending {
    const payload = someBytes(1000, seed);
    const facts = factsOf(payload);
    const name = encodeFileName({
      ...facts,
      origin: 1,
      createdS: 1_800_000_000,
      appender: false,
      random: seed,
      digits: 0,
      extension: "",
    });
    const id = `group1/M00/00/00/${name}`;
    const own = { pathIndex: 0, damaged: 0, blockCrcs: null };
    this.statements.putFile.run({ ...rowOf(newEntry(id, facts), own) });
    const action = {
      ...{ number: ++this.#number, id, epoch: 1, version: 1 },
      ...{ kind: "write" as const, pathIndex: 0, token: "", offset: 0 },
    };
    this.statements.putUnsettled.run({ ...action, payload });
    return { ...action, replaces: false, sinceMs: 0, done: false };
  }

  delete({ id }: Pending): void {
    const row = this.statements.file.get({ id });
    assert(row !== undefined);
    this.statements.putFile.run({ ...row, tombstone: 1, version: 2 });
    this.packer.drop(id);
  }

  segmentsOf(): number[] {
    return this.packer.statements.segmentsOn.all({ pathIndex: 0 })
      .map(({ segment }) => segment);
  }

  /** IDs of the live records on the disk. */
  live(): string[] {
    return this.segmentsOf().flatMap((segment) =>
      [...scanSegment(this.layout.segment(0, segment))]
        .filter(({ isLive, isRight }) => isLive && isRight)
        .map(({ id }) => id)
    );
  }

  waiting({ id }: Pending): boolean {
    return this.statements.unsettledOf.get({ id }) !== undefined;
  }
}

async function withBench(act: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-pack-" });
  const bench = new Bench(dir);
  try {
    await act(bench);
  } finally {
    bench.parts.database.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a file that is deleted while its segment is flushed is not packed", () =>
  withBench(async (bench) => {
    const gone = bench.upload(1);
    const kept = bench.upload(2);
    const packing = bench.packer.pack([gone, kept]); // up to the flush
    bench.delete(gone);
    assert.deepEqual(await packing, [gone, kept]);
    const { placeOf } = bench.packer.statements;
    assert.equal(placeOf.get({ id: gone.id }), undefined);
    assert.notEqual(placeOf.get({ id: kept.id }), undefined);
    assert.deepEqual(bench.live(), [kept.id]);
  }));

Deno.test("a path that is fenced or emptied during the flush packs nothing", () =>
  withBench(async (bench) => {
    const file = bench.upload(1);
    const fenced = bench.packer.pack([file]);
    bench.mayWrite = false;
    assert.deepEqual(await fenced, []);
    bench.mayWrite = true;
    const emptied = bench.packer.pack([file]);
    bench.packer.emptied(0);
    assert.deepEqual(await emptied, []);
    assert(bench.waiting(file));
    assert.equal(
      bench.packer.statements.placeOf.get({ id: file.id }),
      undefined,
    );
    assert.deepEqual(await bench.packer.pack([file]), [file]);
    assert(!bench.waiting(file));
    assert.deepEqual(bench.live(), [file.id]);
  }));

Deno.test("a file that is deleted while it is moved stays deleted", () =>
  withBench(async (bench) => {
    const files = [1, 2, 3, 4, 5, 6].map((seed) => bench.upload(seed));
    for (const file of files) await bench.packer.pack([file]);
    const [first, second, third, fourth, ...rest] = files;
    assert(first && second && third && fourth);
    const oldSegment = bench.segmentsOf()[0];
    for (const file of [first, second, third]) bench.delete(file);
    const moving = new Compactor(bench.parts, bench.packer).step(1);
    bench.delete(fourth);
    assert.equal(await moving, true);
    const wanted = rest.map(({ id }) => id);
    assert.deepEqual(bench.live(), wanted);
    assert(!bench.segmentsOf().includes(oldSegment ?? 0));
    const { placeOf, segmentsOn } = bench.packer.statements;
    assert.equal(placeOf.get({ id: fourth.id }), undefined);
    const places = wanted.map((id) => placeOf.get({ id })?.lengthBytes ?? 0);
    const live = segmentsOn.all({ pathIndex: 0 })
      .reduce((sum, { liveBytes }) => sum + liveBytes, 0);
    assert.equal(live, places.reduce((sum, one) => sum + one, 0));
  }));

Deno.test("a move keeps every byte, and the next run finds it", () =>
  withBench(async (bench) => {
    const files = [1, 2, 3, 4, 5].map((seed) => bench.upload(seed));
    for (const file of files) await bench.packer.pack([file]);
    for (const file of files.slice(0, 3)) bench.delete(file);
    const compactor = new Compactor(bench.parts, bench.packer);
    while (await compactor.step(1));
    const bodies = bench.segmentsOf().flatMap((segment) => [
      ...scanSegment(bench.layout.segment(0, segment)),
    ]).map(({ body }) => crc32(body));
    assert.deepEqual(
      bodies.sort(),
      [4, 5].map((seed) => crc32(someBytes(1000, seed))).sort(),
    );
  }));

Deno.test("what the database has no room for is taken out of its segment", () =>
  withBench(async (bench) => {
    const files = [1, 2].map((seed) => bench.upload(seed));
    await bench.packer.pack(files.slice(0, 1));
    bench.isFull = true;
    assert.deepEqual(await bench.packer.pack(files.slice(1)), []);
    const wanted = files.map(({ id }) => id);
    assert.deepEqual(bench.live(), wanted.slice(0, 1));
    bench.isFull = false;
    await bench.packer.pack(files.slice(1));
    assert.deepEqual(bench.live(), wanted);
  }));

Deno.test("what may be stored is never taken out of its segment", () =>
  withBench(async (bench) => {
    const file = bench.upload(1);
    const packing = bench.packer.pack([file]);
    const { transact } = bench.parts;
    Object.assign(bench.parts, {
      transact: (act: () => void) => {
        transact(act, false);
        bench.isOver = true;
        throw new PutOff("the commit failed");
      },
    });
    assert.deepEqual(await packing, []);
    assert.deepEqual(bench.live(), [file.id]);
  }));

Deno.test("a file that is packed between two looks of a read is found", () =>
  withBench(async (bench) => {
    const file = bench.upload(1);
    await bench.packer.pack([file]);
    const segments = bench.packer.statements;
    let looks = 0;
    const late: Pick<SegmentReads, "placeOf"> = Object.create(segments, {
      placeOf: {
        value: {
          get: (query: { id: string }) =>
            looks++ === 0 ? undefined : segments.placeOf.get(query),
        },
      },
    });
    const reads = new ReadStatements(bench.parts.database);
    const disks = new SlowDisks(() => 0);
    const reader = new PackedReader({
      layout: bench.layout,
      statements: reads,
      segments: late,
      disks,
    }, true);
    const row = bench.statements.file.get({ id: file.id });
    assert(row !== undefined);
    assert.deepEqual(reader.readNow(row), someBytes(1000, 1));
    looks = 0;
    assert.deepEqual(await reader.readAside(row), someBytes(1000, 1));
  }));
