import assert from "node:assert/strict";
import { CliError } from "../errors.ts";
import { editFile } from "./edit_file.ts";

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
