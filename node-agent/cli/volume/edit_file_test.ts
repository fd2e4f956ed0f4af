import assert from "node:assert/strict";
import { CliError } from "../errors.ts";
import { createFile, editFile } from "./edit_file.ts";

Deno.test("what an editor saved meanwhile is not overwritten", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-edit-" });
  const file = `${dir}/x.res`;
  try {
    Deno.writeTextFileSync(file, "old");
    const edited = editFile(file, () => {
      Deno.writeTextFileSync(file, "theirs");
      return "ours";
    });
    await assert.rejects(
      edited,
      (error) =>
        error instanceof CliError && /changed meanwhile/.test(error.message),
    );
    assert.equal(Deno.readTextFileSync(file), "theirs");
    assert.equal([...Deno.readDirSync(dir)].length, 1, "nothing is left over");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a new file is there whole, or not at all", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-edit-" });
  const file = `${dir}/x.res`;
  const { writeTextFile } = Deno;
  try {
    Deno.writeTextFile = async (path, text) => {
      await writeTextFile(path, String(text).slice(0, 3));
      throw new Error("No space left on device");
    };
    await assert.rejects(createFile(file, "resource r {}", 0o600), /No space/);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    Deno.writeTextFile = writeTextFile;
    await createFile(file, "resource r {}", 0o600);
    await assert.rejects(
      createFile(file, "another", 0o600),
      Deno.errors.AlreadyExists,
    );
    assert.equal(Deno.readTextFileSync(file), "resource r {}");
    assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    assert.equal([...Deno.readDirSync(dir)].length, 1, "nothing is left over");
  } finally {
    Deno.writeTextFile = writeTextFile;
    await Deno.remove(dir, { recursive: true });
  }
});
