import assert from "node:assert/strict";
import { encodeFileName } from "@kedge/schema/file-id";
import { eventually, within } from "../../tests/helpers/eventually.ts";
import {
  fillBase,
  setUpImport,
  sums,
} from "../../tests/helpers/migration_desk.ts";
import { Scope } from "../../tests/helpers/scope.ts";
import { Pace } from "./pace.ts";
import { unnamedSlots } from "./packed_files.ts";

Deno.test("import tells damage from what is no file, and takes the rest", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
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
  await Deno.mkdir(`${base.base}/data/0a`);
  await Deno.writeTextFile(`${base.base}/data/00/stray`, "");
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
    "not-of-fastdfs": 2,
  });
  assert.deepEqual([view.damaged, view.skipped], [4, 8]);
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
  const { desk, base } = await setUpImport(scope);
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
    "not-a-folder": 1,
  });
});

Deno.test("a file that is too large for the group is told before it is read", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  await base.add(base.bytes(300_000));
  const { replicator } = desk.door;
  const settings = replicator.groupSettings;
  replicator.groupSettings = { ...settings, fileBytesMax: 200_000 };
  for (const how of [{ dryRun: true }, { mode: "link" }] as const) {
    const view = await desk.import(base.roots, how);
    assert.deepEqual(view.reasons, { "too-large": 1 });
  }
  assert.deepEqual(desk.linked, []);
});

Deno.test("a refusal that passes is waited for, a full disk ends the run", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  await fillBase(base);
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
    followDeletes: false,
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
  const { desk, base } = await setUpImport(scope);
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
  const folder = `${base.base}/data/7F`;
  await Deno.symlink("/etc", folder);
  const odd = await desk.import([base.base], inPlace);
  assert.deepEqual([odd.state, odd.reasons], ["done", { "not-a-folder": 1 }]);
  assert.deepEqual(desk.allTaken, []);
  await Deno.remove(folder);
  await desk.import([base.base], { ...inPlace, dryRun: true });
  assert.deepEqual(desk.allTaken, []);
  assert.equal((await desk.import([base.base], inPlace)).state, "done");
  assert.deepEqual(desk.allTaken, [0]);
});

Deno.test("files that vanish, shrink or come under way are told or found later", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const vanishing = await base.add(base.bytes(10));
  const shrinking = base.newId(new Uint8Array(), { appender: true });
  await base.write(shrinking, base.bytes(200_000));
  await base.add(base.bytes(11));
  const { files } = desk.door;
  const lookup = files.lookup.bind(files);
  files.lookup = (id) => {
    if (id === vanishing && !lookup(id)) {
      files.lookup = lookup;
      Deno.removeSync(base.path(vanishing));
    }
    return lookup(id);
  };
  const stage = files.stage.bind(files);
  files.stage = (request) => {
    if (request.sizeBytes === 200_000) {
      files.stage = stage;
      Deno.truncateSync(base.path(shrinking), 1000);
    }
    return stage(request);
  };
  const view = await desk.import(base.roots);
  assert.deepEqual(view.reasons, { "vanished": 1, "changed": 1 });
  assert.deepEqual([view.state, view.damaged], ["done", 0]);
  assert.equal(desk.content.size, 1);
  assert.equal(files.staging.size, 0);

  base.files.delete(vanishing);
  await base.write(shrinking, base.bytes(300_000));
  await base.add(base.bytes(12));
  assert.deepEqual((await desk.import(base.roots)).problems, []);
  assert.deepEqual(desk.content, sums(base.files));
});

Deno.test("files of another group, and of the future, are refused", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
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

/** What is told of these trunk files of a folder. */
async function slotOddities(
  path: string,
  trunks: readonly string[],
  signal = new AbortController().signal,
): Promise<string[]> {
  const clock = { monotonicMs: () => performance.now(), wallMs: () => 0 };
  const pace = new Pace(clock, 0, signal);
  const folder = { path, pathIndex: 0, trunks };
  const told: string[] = [];
  for await (const { reason } of unnamedSlots(folder, new Set(), pace)) {
    told.push(reason);
  }
  return told;
}

Deno.test("a trunk file that vanished, or cannot be read, ends no import", async () => {
  await using scope = new Scope();
  const { base } = await setUpImport(scope);
  await base.addPacked(base.bytes(20));
  const folder = `${base.base}/data/00/00`;
  const here = await slotOddities(folder, ["000001", "000002"]);
  assert.deepEqual(here, ["packed-without-name"]);
  const noFolder = `${folder}/000001`;
  assert.deepEqual(
    await slotOddities(noFolder, ["000003"]),
    ["unreadable-trunk-file"],
  );
  const stop = new AbortController();
  stop.abort(new Error("it was stopped"));
  await assert.rejects(
    slotOddities(folder, ["000001"], stop.signal),
    /stopped/,
  );
});

Deno.test("a pipe as the file of a process holds nobody up", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const pipe = `${base.base}/data/fdfs_storaged.pid`;
  await Deno.remove(pipe);
  const made = await new Deno.Command("mkfifo", { args: [pipe] }).output();
  assert(made.success);
  // In place, it must be sure that nobody works there.
  const asked = desk.import(base.roots, { mode: "in-place" });
  const what = "an answer";
  try {
    await assert.rejects(
      within(asked, { what, deadlineMs: 5000 }),
      /In place, M00 of FastDFS must be/,
    );
  } finally {
    // Lets go of whoever waits for the other end.
    Deno.openSync(pipe, { read: true, write: true }).close();
  }
});
