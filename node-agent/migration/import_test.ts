import assert from "node:assert/strict";
import {
  fillBase,
  META,
  setUpImport,
  sums,
} from "../../tests/helpers/migration_desk.ts";
import { Scope } from "../../tests/helpers/scope.ts";

Deno.test("import takes every kind of file, under its ID", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const ids = await fillBase(base);
  const dry = await desk.import(base.roots, { dryRun: true });
  assert.equal(dry.state, "done");
  assert.equal(desk.content.size, 0, "a dry run changes nothing");
  const view = await desk.import(base.roots);
  assert.deepEqual(view.problems, []);
  assert.deepEqual(view.done, dry.done);
  assert.deepEqual(view.done, {
    normal: 4,
    appender: 1,
    derived: 1,
    packed: 2,
    duplicate: 1,
  });
  assert.equal(view.withMeta, 2);
  assert.deepEqual([view.filesDone, view.filesTotal], [9, 9]);
  assert.equal(view.bytesDone, view.bytesTotal);
  assert.deepEqual(desk.content, sums(base.files));
  const entry = (id: string) => desk.door.files.lookup(id);
  assert.deepEqual(entry(ids.withMeta)?.meta, META);
  assert.deepEqual(entry(ids.packedMeta)?.meta, META);
  assert.equal(entry(ids.appender)?.appender, true);
  assert.equal(entry(ids.normal)?.appender, false);

  const again = await desk.import(base.roots);
  assert.deepEqual([again.known, again.problems], [9, []]);
  assert.equal(desk.door.replicator.committed.length, 9, "nothing twice");
});

Deno.test("packed files are found by compressed binlogs, packed links by their text", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const plain = await base.add(base.bytes(400));
  await base.addPacked(base.bytes(50));
  const bytes = base.files.get(plain) ?? base.bytes(0);
  const link = await base.addPacked(bytes);
  await base.writePackedLink(plain);
  const stray = await base.addPacked(bytes);
  await base.writePackedLink("group1/M00/../../etc/passwd");
  const sync = `${base.base}/data/sync`;
  const text = await Deno.open(`${sync}/binlog.000`);
  const packed = await Deno.create(`${sync}/binlog.000.gz`);
  await text.readable.pipeThrough(new CompressionStream("gzip"))
    .pipeTo(packed.writable);
  await Deno.writeTextFile(`${sync}/binlog.001`, "\0 what is this?\n");
  await Deno.remove(`${sync}/binlog.000`);
  const view = await desk.import(base.roots);
  assert.equal(desk.content.get(link), desk.content.get(plain));
  assert.equal(desk.content.size, 3);
  const [problem, ...more] = view.problems;
  assert.deepEqual([problem?.name, more], [stray, []]);
  assert.equal(problem?.reason, "outside-the-tree");
});

Deno.test("metadata that cannot be read any more stays as it was", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const id = await base.add(base.bytes(9), { meta: META });
  assert.equal((await desk.import(base.roots)).problems.length, 0);
  await Deno.writeFile(`${base.path(id)}-m`, Uint8Array.of(0x61, 2, 0xc4));
  const view = await desk.import(base.roots);
  assert.deepEqual(view.reasons, { "unreadable-metadata": 1 });
  assert.deepEqual(desk.door.files.lookup(id)?.meta, META);
});

Deno.test("a file is taken without metadata that cannot be kept", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const many = Object.fromEntries(
    Array.from({ length: 1000 }, (_, at) => [`name${at}`, "x"]),
  );
  const full = await base.add(base.bytes(9), { meta: many });
  const foreign = await base.add(base.bytes(8));
  await Deno.writeFile(
    `${base.path(foreign)}-m`,
    Uint8Array.of(0x61, 2, 0xc4, 0xe3),
  );
  for (const known of [0, 2]) {
    const view = await desk.import(base.roots);
    assert.deepEqual(desk.content, sums(base.files));
    assert.deepEqual(view.reasons, { "unreadable-metadata": 2 });
    const names = view.problems.map(({ name }) => name).sort();
    assert.deepEqual(names, [full, foreign].sort());
    assert.equal(view.known, known);
  }
});

Deno.test("a later import takes what changed in FastDFS, not what changed here", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { appender, normal, withMeta, slave, packed } = await fillBase(base);
  await desk.import(base.roots);
  const { operations } = desk.door.app;
  await base.write(appender, base.bytes(100_003));
  await base.setMeta(normal, { a: "1" });
  await operations.setMeta(withMeta, { mine: "1" }, "overwrite");
  await base.setMeta(withMeta, { theirs: "1" });
  await operations.remove(packed);
  const added = await base.add(base.bytes(5));

  const view = await desk.import(base.roots);
  assert.deepEqual(view.reasons, { "changed-here": 1, "deleted": 1 });
  assert.deepEqual([view.replaced, view.done.normal], [2, 2]);
  const { files } = desk.door;
  assert.deepEqual(desk.content.get(appender), sums(base.files).get(appender));
  assert.deepEqual(files.lookup(normal)?.meta, { a: "1" });
  assert.deepEqual(files.lookup(withMeta)?.meta, { mine: "1" });
  assert.equal(files.lookup(packed)?.state, "tombstone");
  assert(desk.content.has(added));
  assert.equal(files.lookup(slave)?.state, "present");

  // Appended to here: what FastDFS has does not undo it.
  const body = base.bytes(4);
  await operations.write(appender, { body, sizeBytes: body.length });
  await base.write(appender, base.bytes(7));
  const last = await desk.import(base.roots);
  assert.equal(last.reasons["changed-here"], 2);
  assert.equal(files.lookup(appender)?.sizeBytes, 100_007);
});

Deno.test("large files are linked; where that cannot be, they are copied", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { large, appender } = await fillBase(base);
  const view = await desk.import(base.roots, { mode: "link" });
  const path = await Deno.realPath(base.path(large));
  assert.deepEqual(desk.linked, [path, path], "the duplicate too");
  assert.deepEqual([view.copied, view.problems], [0, []]);
  assert.deepEqual(desk.content, sums(base.files));
  assert(desk.content.has(appender), "what changes is copied");

  const other = await setUpImport(scope);
  await fillBase(other.base);
  const failure = Object.assign(new Error("cross-device"), { code: "EXDEV" });
  other.desk.linkFailure = failure;
  const copied = await other.desk.import(other.base.roots, { mode: "link" });
  assert.deepEqual(other.desk.content, sums(other.base.files));
  assert.equal(copied.copied, 2);
  assert.match(copied.copiedWhy ?? "", /another file system/);
});

Deno.test("a run can be stopped and goes on later", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  await fillBase(base);
  await desk.desk.start({
    kind: "import",
    base: base.base,
    group: null,
    storePaths: [...base.roots],
    mode: "copy",
    dryRun: false,
    followDeletes: false,
    bytesPerS: 1000,
  });
  await desk.desk.stop();
  const stopped = desk.desk.view(0);
  assert.equal(stopped?.state, "stopped");
  assert(desk.content.size < base.files.size);
  assert.equal(desk.door.files.staging.size, 0);
  assert.equal((await desk.import(base.roots)).state, "done");
  assert.deepEqual(desk.content, sums(base.files));
});
