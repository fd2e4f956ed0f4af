import assert from "node:assert/strict";
import { putAside } from "./own_log.ts";

Deno.test("the log that we append to is put aside when it is too large", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-log-" });
  try {
    const path = `${dir}/mirror.log`;
    // As the shell opened it for us.
    using output = Deno.openSync(path, { append: true, create: true });
    const say = (text: string) =>
      output.writeSync(new TextEncoder().encode(text));
    const how = { bytesMax: 10, output: path };
    say("0123456789");
    assert.equal(putAside(path, how), false, "not yet");
    say("ab");
    assert.equal(putAside(path, how), true);
    say("next");
    assert.equal(Deno.readTextFileSync(path), "next");
    assert.equal(Deno.readTextFileSync(`${path}.1`), "0123456789ab");
    say("0123456789");
    assert.equal(putAside(path, { ...how, output: dir }), false, "not ours");
    assert.equal(putAside(`${dir}/none`, how), false);
    assert.equal(putAside(path, how), true);
    assert.equal(Deno.readTextFileSync(`${path}.1`), "next0123456789");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a log for whose copy there is no room is emptied without one", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-log-" });
  try {
    const path = `${dir}/mirror.log`;
    Deno.writeTextFileSync(path, "0123456789ab");
    Deno.symlinkSync("/dev/full", `${path}.1`);
    assert.equal(putAside(path, { bytesMax: 10, output: path }), true);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), [
      "mirror.log",
    ]);
    assert.equal(Deno.statSync(path).size, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
