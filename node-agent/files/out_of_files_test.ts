import assert from "node:assert/strict";
import { isFull, isOutOfFiles } from "./disk.ts";

/** In a process that may open few files: uploads while none can be opened. */
const SCRIPT = `
  import { someBytes, TestStore } from "FIXTURE";
  const store = await TestStore.open("DIR");
  const entries = [await store.upload(someBytes(1000, 1))];
  const taken = [];
  try {
    for (;;) taken.push(Deno.openSync("/dev/null"));
  } catch (error) {
    if (error.code !== "EMFILE") throw error;
  }
  const sizes = [1000, 100_000, 300_000];
  const done = await Promise.allSettled(sizes.map((size, at) =>
    store.upload(someBytes(size, at + 2))));
  await store.store.settle(0);
  for (const file of taken) file.close();
  for (const { value } of done) if (value !== undefined) entries.push(value);
  entries.push(await store.upload(someBytes(70_000, 9)));
  await store.store.settle(0);
  for (const entry of entries) await store.read(entry);
  const [path] = store.store.files.storePaths();
  console.log(JSON.stringify({ state: path.state, files: entries.length }));
  await store.close();
`;

Deno.test("too many open files fence no disk", async () => {
  assert(isFull({ code: "EMFILE" }) && isOutOfFiles({ code: "ENFILE" }));
  assert(!isOutOfFiles({ code: "ENOSPC" }));
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const script = SCRIPT.replace("DIR", dir)
      .replace("FIXTURE", import.meta.resolve("./store_fixture.ts"));
    const limited = 'ulimit -n 128; exec "$0" eval --ext=ts --no-check "$1"';
    const args = ["-c", limited, Deno.execPath(), script];
    const command = new Deno.Command("sh", { args });
    const { stdout, stderr } = await command.output();
    const said = new TextDecoder().decode(stdout);
    assert(said !== "", new TextDecoder().decode(stderr));
    const { state, files } = JSON.parse(said);
    assert.equal(state, "writable");
    // The first, those of which the bytes found room elsewhere, and the last.
    assert(files >= 3, `${files}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
