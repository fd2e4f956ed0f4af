import assert from "node:assert/strict";
import {
  fillBase,
  setUpImport,
  TestDesk,
} from "../../tests/helpers/migration_desk.ts";
import { FastdfsBase } from "../../tests/helpers/fastdfs_base.ts";
import { Scope } from "../../tests/helpers/scope.ts";

/** As a client of FastDFS deletes it. */
async function removeThere(base: FastdfsBase, id: string): Promise<void> {
  await Deno.remove(base.path(id));
  await base.logDelete(id);
}

Deno.test("deletes made in FastDFS are followed when asked for, a dry run lists them", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const ids = await fillBase(base);
  await desk.import(base.roots);
  for (const id of [ids.normal, ids.appender, ids.slave, ids.duplicate]) {
    await removeThere(base, id);
  }
  await base.freePacked(ids.packed);
  const gone = [ids.normal, ids.appender, ids.slave, ids.duplicate, ids.packed];
  const state = (id: string) => desk.door.files.lookup(id)?.state;

  const plain = await desk.import(base.roots);
  assert.deepEqual([plain.deleted, plain.problems], [0, []]);
  const dry = await desk.import(base.roots, {
    followDeletes: true,
    dryRun: true,
  });
  const named = dry.problems.map(({ kind, name }) => `${kind} ${name}`).sort();
  assert.deepEqual(named, gone.map((id) => `deleted ${id}`).sort());
  assert(gone.every((id) => state(id) === "present"), "a dry run deletes none");

  const view = await desk.import(base.roots, { followDeletes: true });
  assert.deepEqual([view.deleted, view.skipped, view.reasons], [5, 0, {}]);
  assert(gone.every((id) => state(id) === "tombstone"));
  assert.equal(desk.door.replicator.committed.at(-1)?.level, "C");
  for (const id of [ids.large, ids.empty, ids.withMeta, ids.packedMeta]) {
    assert.equal(state(id), "present");
  }
  const again = await desk.import(base.roots, { followDeletes: true });
  assert.deepEqual([again.deleted, again.problems], [0, []]);
});

Deno.test("only a logged delete of an imported file that is missing there is followed", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { large, normal, empty, withMeta, appender } = await fillBase(base);
  await desk.import(base.roots);
  const { operations } = desk.door.app;
  // Missing, but no delete was logged: a replica that lags, a broken disk.
  await Deno.remove(base.path(empty));
  // Logged, but the file is there again.
  await base.logDelete(normal);
  // Logged, but changed here since.
  await operations.setMeta(withMeta, { mine: "1" }, "overwrite");
  await removeThere(base, withMeta);
  // Logged, but its disk is not mounted.
  await base.logDelete(large);
  await Deno.remove(`${base.roots[1]}/data/00`, { recursive: true });
  // Uploaded here, never there.
  const body = base.bytes(8);
  const own = await operations.create(
    { body, sizeBytes: body.length },
    { extension: "", appender: false },
  );
  await base.logDelete(own);
  await removeThere(base, appender);

  const view = await desk.import(base.roots, { followDeletes: true });
  const deleted = view.problems.filter(({ kind }) => kind === "deleted");
  assert.deepEqual(deleted.map(({ name }) => name), [appender]);
  assert.equal(view.reasons["changed-here"], 1);
  for (const id of [empty, normal, withMeta, large, own]) {
    assert.equal(desk.door.files.lookup(id)?.state, "present", id);
  }
});

Deno.test("deletes are not followed past a binlog that cannot be read, nor by who owns no file", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { normal } = await fillBase(base);
  await desk.import(base.roots);
  await removeThere(base, normal);
  const broken = `${base.base}/data/sync/binlog.001.gz`;
  await Deno.writeTextFile(broken, "no gzip");
  const view = await desk.import(base.roots, { followDeletes: true });
  assert.deepEqual([view.deleted, view.reasons], [0, {
    "unreadable-binlog": 1,
  }]);
  await Deno.remove(broken);

  const other = await TestDesk.make(scope, {
    node: 2,
    members: [1, 2],
    insync: [1, 2],
  });
  const copy = await FastdfsBase.make([`${other.dir}/base`]);
  const id = await copy.add(copy.bytes(9));
  await other.import(copy.roots);
  await removeThere(copy, id);
  const told = await other.import(copy.roots, { followDeletes: true });
  assert.deepEqual([told.deleted, told.reasons], [0, { "not-owner": 1 }]);
});

Deno.test("a name that FastDFS gave up for another one is followed", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { appender, normal } = await fillBase(base);
  await desk.import(base.roots);
  const later = await base.regenerate(appender);
  const plain = await desk.import(base.roots);
  assert.deepEqual([plain.done.normal, plain.deleted], [1, 0]);
  const view = await desk.import(base.roots, { followDeletes: true });
  assert.deepEqual([view.deleted, view.skipped, view.reasons], [1, 0, {}]);
  const state = (id: string) => desk.door.files.lookup(id)?.state;
  assert.equal(state(appender), "tombstone");
  assert.equal(state(later), "present");
  assert.equal(state(normal), "present");
});

Deno.test("deletes are followed when FastDFS removed the trunk file, not when its disk is away", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { packed, packedMeta } = await fillBase(base);
  await desk.import(base.roots);
  await base.freePacked(packed);
  await base.removeTrunk();
  const folder = `${base.base}/data/00/00`;
  await Deno.rename(folder, `${base.base}/away`);
  const away = await desk.import(base.roots, { followDeletes: true });
  assert.equal(away.deleted, 0);
  await Deno.rename(`${base.base}/away`, folder);
  const view = await desk.import(base.roots, { followDeletes: true });
  assert.equal(view.deleted, 1);
  assert.equal(desk.door.files.lookup(packed)?.state, "tombstone");
  // No delete of this one was logged.
  assert.equal(desk.door.files.lookup(packedMeta)?.state, "present");
});
