import assert from "node:assert/strict";
import { readMetadata } from "@kedge/schema/wire/fastdfs";
import {
  fillBase,
  META,
  setUpImport,
  sums,
  TestDesk,
} from "../../tests/helpers/migration_desk.ts";
import { Scope } from "../../tests/helpers/scope.ts";

Deno.test("export writes what import reads", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { withMeta, packed } = await fillBase(base);
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
  const { normal } = again.done;
  assert.equal(normal, 0, "what is there was not written again");
  const written = Object.values(again.done).reduce((sum, one) => sum + one, 0);
  assert.equal(written + again.known, again.filesTotal);
  await Deno.writeTextFile(`${desk.dir}/own/x`, "");
  for (const wrong of [`${desk.dir}/own`, base.base]) {
    const asked = desk.run({ ...request, to: wrong });
    await assert.rejects(asked, /Cannot export to/);
  }
});

Deno.test("a later export takes removed metadata away", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const { withMeta, packedMeta } = await fillBase(base);
  await desk.import(base.roots);
  const to = `${desk.dir}/back`;
  const request = { kind: "export", to, bytesPerS: 0 } as const;
  assert.equal((await desk.run(request)).withMeta, 2);
  for (const id of [withMeta, packedMeta]) {
    await desk.door.app.operations.setMeta(id, {}, "overwrite");
  }
  const view = await desk.run(request);
  assert.deepEqual([view.state, view.problems, view.withMeta], ["done", [], 0]);
  for (const id of [withMeta, packedMeta]) {
    const path = `${to}/data/${id.split("/").slice(2).join("/")}-m`;
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  }
  const other = await TestDesk.make(scope);
  await other.import([to, `${to}/M01`]);
  assert.deepEqual(other.door.files.lookup(withMeta)?.meta, {});
});

Deno.test("what FastDFS would take for metadata is told, not exported", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const master = await base.add(base.bytes(10));
  await desk.import(base.roots);
  const body = base.bytes(20);
  const id = await desk.door.app.operations.derive(
    master,
    { body, sizeBytes: body.length },
    { prefix: "-m", extension: "" },
  );
  const to = `${desk.dir}/back`;
  for (let run = 0; run < 2; run++) {
    const view = await desk.run({ kind: "export", to, bytesPerS: 0 });
    assert.deepEqual(view.problems.map(({ name }) => name), [id]);
    assert.match(view.problems[0]?.detail ?? "", /metadata of its master/);
  }
});

Deno.test("a file whose name is another one's with .new is exported as it is", async () => {
  await using scope = new Scope();
  const { desk, base } = await setUpImport(scope);
  const masters: string[] = [];
  for (let count = 0; count < 8; count++) {
    masters.push(await base.add(base.bytes(400_000), { extension: "jpg" }));
  }
  await desk.import(base.roots);
  for (const master of masters) {
    const body = base.bytes(20);
    const bytes = { body, sizeBytes: body.length };
    const name = { prefix: ".jpg", extension: "new" };
    const id = await desk.door.app.operations.derive(master, bytes, name);
    assert.equal(id, `${master}.new`);
    base.files.set(id, body);
  }
  const to = `${desk.dir}/back`;
  const view = await desk.run({ kind: "export", to, bytesPerS: 0 });
  assert.deepEqual([view.state, view.problems], ["done", []]);
  const written = new Map<string, Uint8Array>();
  for (const id of base.files.keys()) {
    const path = `${to}/data/${id.split("/").slice(2).join("/")}`;
    written.set(id, await Deno.readFile(path).catch(() => new Uint8Array()));
  }
  assert.deepEqual(sums(written), sums(base.files));
});
