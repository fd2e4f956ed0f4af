import assert from "node:assert/strict";
import { encodeFileName } from "@kedge/schema/file-id";
import { readMetadata } from "@kedge/schema/wire/fastdfs";
import { FastdfsBase } from "../../tests/helpers/fastdfs_base.ts";
import { sums, TestDesk } from "../../tests/helpers/migration_desk.ts";
import { eventually } from "../../tests/helpers/eventually.ts";
import { Scope } from "../../tests/helpers/scope.ts";

const META = { width: "160", "höhe": "80" };

async function setUp(scope: Scope) {
  const desk = await TestDesk.make(scope);
  const roots = [`${desk.dir}/base`, `${desk.dir}/disk1`];
  return { desk, base: await FastdfsBase.make(roots) };
}

/** One of everything. */
async function fill(base: FastdfsBase) {
  const normal = await base.add(base.bytes(5000), { extension: "txt" });
  const large = await base.add(base.bytes(300_000), { pathIndex: 1 });
  const empty = await base.add(base.bytes(0));
  const withMeta = await base.add(base.bytes(10), { meta: META });
  const appender = base.newId(base.bytes(3), { appender: true });
  await base.write(appender, base.bytes(100_000));
  const slave = normal.replace(".txt", "_big.jpg");
  await base.write(slave, base.bytes(77));
  const duplicate = await base.addDuplicate(large);
  const packed = await base.addPacked(base.bytes(300));
  const packedMeta = await base.addPacked(base.bytes(1000));
  await base.setMeta(packedMeta, META);
  return {
    ...{ normal, large, empty, withMeta, appender, slave, duplicate },
    ...{ packed, packedMeta },
  };
}

Deno.test("import takes every kind of file, under its ID", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  const ids = await fill(base);
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
  const { desk, base } = await setUp(scope);
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

Deno.test("a file is taken without metadata that cannot be kept", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
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

Deno.test("import tells damage from what is no file, and takes the rest", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  const good = await base.add(base.bytes(100));
  const short = base.newId(base.bytes(50), {});
  await base.write(short, base.bytes(49));
  const wrong = base.newId(base.bytes(50), {});
  await base.write(wrong, base.bytes(50));
  const freed = await base.addPacked(base.bytes(20));
  await base.writeTrunk(0, new Uint8Array(1));
  const reused = await base.addPacked(base.bytes(20));
  await base.writeTrunk(256 + 9, new Uint8Array(4));
  const unnamed = await base.addPacked(base.bytes(20));
  await base.logDelete(unnamed);
  const gone = await base.addPacked(base.bytes(20));
  await base.logDelete(gone);
  await base.writeTrunk(base.trunkEnd - 256, new Uint8Array(1));
  const folder = `${base.base}/data/00/00`;
  await Deno.writeTextFile(`${folder}/.cp1.tmp`, "");
  await Deno.writeTextFile(`${folder}/what is this\n?`, "");
  // A name that is no text.
  const touch = ["-c", "touch \"$(printf 'a\\377')\""];
  const touched = new Deno.Command("sh", { args: touch, cwd: folder });
  assert((await touched.output()).success);
  await Deno.mkdir(`${folder}/${base.newId(base.bytes(1), {}).slice(17)}`);
  const orphan = base.newId(base.bytes(9), {});
  await Deno.writeTextFile(`${base.path(orphan)}-m`, "");

  const view = await desk.import(base.roots);
  assert.equal(view.state, "done");
  assert.deepEqual([...desk.content.keys()], [good]);
  assert.deepEqual(view.reasons, {
    "wrong-size": 1,
    "wrong-checksum": 1,
    "gone": 2,
    "packed-without-name": 1,
    "unfinished": 1,
    "not-a-file-id": 2,
    "not-a-regular-file": 1,
    "metadata-without-file": 1,
  });
  assert.deepEqual([view.damaged, view.skipped], [4, 6]);
  const named = new Set(view.problems.map(({ name }) => name));
  for (const id of [short, wrong, freed, reused]) assert(named.has(id), id);
  const lines = (await Deno.readTextFile(view.report)).trimEnd().split("\n");
  const told = lines.map((line) => JSON.parse(line));
  assert.deepEqual(told, view.problems);
  const { files } = desk.door;
  assert.equal(files.staging.size, 0, "what was refused is thrown away");
});

Deno.test("import follows no link out of the tree and opens no device", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  const real = await base.add(base.bytes(40));
  const secret = base.bytes(64);
  await Deno.mkdir(`${desk.dir}/elsewhere/data/00/00`, { recursive: true });
  const name = base.newId(secret, {}).slice(17);
  const outside = `${desk.dir}/elsewhere/data/00/00/${name}`;
  await Deno.writeFile(outside, secret);
  const folder = `${base.base}/data/00/00`;
  const place = (id: string) => `${folder}/${id.slice(17)}`;
  await Deno.symlink(outside, place(base.newId(secret, {})));
  await Deno.symlink("/etc/passwd", place(base.newId(secret, {})));
  await Deno.symlink(`../../../${name}`, place(base.newId(secret, {})));
  await Deno.symlink(`${base.base}/data/00/..`, place(base.newId(secret, {})));
  // A link to a link, and a whole folder that leads out.
  const link = place(base.newId(secret, {}));
  await Deno.symlink(outside, link);
  await Deno.symlink(link, place(base.newId(secret, {})));
  await Deno.symlink(`${desk.dir}/elsewhere/data/00`, `${base.base}/data/01`);
  const through = `${base.base}/data/01/00/${name}`;
  await Deno.symlink(through, place(base.newId(secret, {})));
  const fifo = place(base.newId(secret, {}));
  const made = await new Deno.Command("mkfifo", { args: [fifo] }).output();
  assert(made.success);
  // As the storage wrote it before its disk was mounted here.
  const moved = base.newId(base.files.get(real) ?? secret, {});
  await Deno.symlink(
    `/old/mount/data/${real.split("/").slice(2).join("/")}`,
    base.path(moved),
  );

  const view = await desk.import(base.roots);
  assert.deepEqual([...desk.content.keys()].sort(), [real, moved].sort());
  assert.deepEqual(view.reasons, {
    "outside-the-tree": 7,
    "not-a-regular-file": 1,
  });
});

Deno.test("a later import takes what changed in FastDFS, not what changed here", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  const { appender, normal, withMeta, slave, packed } = await fill(base);
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
  const { desk, base } = await setUp(scope);
  const { large, appender } = await fill(base);
  const view = await desk.import(base.roots, { mode: "link" });
  const path = await Deno.realPath(base.path(large));
  assert.deepEqual(desk.linked, [path, path], "the duplicate too");
  assert.deepEqual([view.copied, view.problems], [0, []]);
  assert.deepEqual(desk.content, sums(base.files));
  assert(desk.content.has(appender), "what changes is copied");

  const other = await setUp(scope);
  await fill(other.base);
  const failure = Object.assign(new Error("cross-device"), { code: "EXDEV" });
  other.desk.linkFailure = failure;
  const copied = await other.desk.import(other.base.roots, { mode: "link" });
  assert.deepEqual(other.desk.content, sums(other.base.files));
  assert.equal(copied.copied, 2);
  assert.match(copied.copiedWhy ?? "", /another file system/);
});

Deno.test("a refusal that passes is waited for, a full disk ends the run", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  await fill(base);
  const { Problem } = await import("@kedge/schema");
  const { replicator, files } = desk.door;
  replicator.commitFailure = new Problem("not-in-sync", "not yet");
  await desk.desk.start({
    kind: "import",
    base: base.base,
    group: null,
    storePaths: [...base.roots],
    mode: "copy",
    dryRun: false,
    bytesPerS: 0,
  });
  await assert.rejects(desk.import(base.roots), /An import or export runs/);
  const lookups = () => new Set(files.lookups).size;
  await eventually(
    () => lookups() > 0 && files.lookups.length > 2 * lookups(),
    { what: "every file to be tried again" },
  );
  replicator.commitFailure = undefined;
  const view = await desk.ended();
  assert.equal(view.state, "done");
  assert.deepEqual(desk.content, sums(base.files));

  await base.add(base.bytes(8));
  files.stageFailure = new Problem("insufficient-storage", "full");
  const full = await desk.import(base.roots);
  assert.deepEqual([full.state, full.why], ["failed", "full"]);
  files.stageFailure = undefined;
  assert.equal((await desk.import(base.roots)).state, "done");
  assert.deepEqual(desk.content, sums(base.files));
});

Deno.test("a folder that is no storage is refused, and so is a strange one in place", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  await assert.rejects(desk.import([`${desk.dir}/none`]), /no folder .*none/);
  await assert.rejects(
    desk.import(base.roots, { mode: "in-place" }),
    /must be M00 of this node/,
  );
  assert.equal(desk.desk.view(0), null);

  // Its own store path, while the storage runs.
  await Deno.remove(`${desk.dir}/own`, { recursive: true });
  await Deno.symlink(base.base, `${desk.dir}/own`);
  const program = `${desk.dir}/fdfs_storaged`;
  await Deno.copyFile("/bin/sleep", program);
  const storage = new Deno.Command(program, { args: ["60"] }).spawn();
  scope.defer(() => storage.status);
  scope.defer(() => storage.kill("SIGKILL"));
  const pidFile = `${base.base}/data/fdfs_storaged.pid`;
  await Deno.writeTextFile(pidFile, `${storage.pid}`);
  const inPlace = { mode: "in-place" } as const;
  await assert.rejects(
    desk.import([base.base], inPlace),
    /fdfs_storaged runs on these files/,
  );
  await Deno.writeTextFile(pidFile, `${Deno.pid}`);
  assert.equal((await desk.import([base.base], inPlace)).state, "done");
});

Deno.test("files of another group, and of the future, are refused", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  await assert.rejects(
    desk.import(base.roots, { group: "group2" }),
    /This node is of group1, the files are of group2/,
  );
  const name = encodeFileName({
    origin: desk.door.node,
    createdS: 4_294_967_295,
    sizeBytes: 0,
    crc32: 0,
    ...{ appender: false, random: 1, digits: 1, extension: "" },
  });
  await base.write(`group1/M00/00/00/${name}`, base.bytes(0));
  const view = await desk.import(base.roots, { group: "group1" });
  assert.deepEqual(view.reasons, { "of-the-future": 1 });
});

Deno.test("export writes what import reads", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  const { withMeta, packed } = await fill(base);
  await desk.import(base.roots);
  const to = `${desk.dir}/back`;
  const request = { kind: "export", to, bytesPerS: 0 } as const;
  const view = await desk.run(request);
  assert.deepEqual(view.problems, []);
  assert.equal(view.filesDone, 9);
  const metaPath = `${to}/data/${withMeta.split("/").slice(2).join("/")}-m`;
  assert.deepEqual(readMetadata(await Deno.readFile(metaPath)), META);
  const flag = await Deno.readTextFile(`${to}/data/.data_init_flag`);
  assert.match(flag, /^current_trunk_file_id=1$/m);

  const other = await TestDesk.make(scope);
  const back = await other.import([to, `${to}/M01`]);
  assert.deepEqual([back.problems, back.done.packed], [[], 2]);
  assert.deepEqual(other.content, sums(base.files));
  assert.deepEqual(
    other.door.files.lookup(withMeta),
    desk.door.files.lookup(withMeta),
    "two members that import the same agree on every word",
  );

  await desk.door.app.operations.remove(packed);
  const again = await desk.run(request);
  assert.deepEqual([again.known > 0, again.state], [true, "done"]);
  await Deno.writeTextFile(`${desk.dir}/own/x`, "");
  for (const wrong of [`${desk.dir}/own`, base.base]) {
    const asked = desk.run({ ...request, to: wrong });
    await assert.rejects(asked, /Cannot export to/);
  }
});

Deno.test("a run can be stopped and goes on later", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUp(scope);
  await fill(base);
  await desk.desk.start({
    kind: "import",
    base: base.base,
    group: null,
    storePaths: [...base.roots],
    mode: "copy",
    dryRun: false,
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
