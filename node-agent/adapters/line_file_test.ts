import assert from "node:assert/strict";
import { eventually } from "../../tests/helpers/eventually.ts";
import { Scope } from "../../tests/helpers/scope.ts";
import { LineFile } from "./line_file.ts";

const SILENT = { info() {}, warn() {} };

Deno.test("lines are appended, and a file that was moved is made anew", async () => {
  await using scope = new Scope();
  const path = `${await scope.tempDir()}/access.log`;
  await Deno.writeTextFile(path, "earlier\n");
  const file = await LineFile.open(path, SILENT);
  file.line("one");
  file.line("two");
  await eventually(
    async () => (await Deno.readTextFile(path)) === "earlier\none\ntwo\n",
    { what: "the lines" },
  );
  await Deno.rename(path, `${path}.1`);
  file.line("three");
  await file.close();
  assert.equal(await Deno.readTextFile(path), "three\n");
  assert.equal(await Deno.readTextFile(`${path}.1`), "earlier\none\ntwo\n");
});

Deno.test("a log that cannot be opened says so; one that fails is dropped and told", async () => {
  await using scope = new Scope();
  const dir = `${await scope.tempDir()}/logs`;
  await assert.rejects(
    LineFile.open(`${dir}/access.log`, SILENT),
    /Cannot write the log .*access\.log: .* Its folder must exist/,
  );
  await Deno.mkdir(dir);
  const told: string[] = [];
  const file = await LineFile.open(`${dir}/access.log`, {
    info() {},
    warn: (message, facts) => told.push(`${message} ${JSON.stringify(facts)}`),
  });
  await Deno.remove(dir, { recursive: true });
  file.line("lost");
  file.line("lost too");
  await eventually(() => told.length === 1, { what: "the warning" });
  assert.match(told[0] ?? "", /cannot be written/);
  await Deno.mkdir(dir);
  file.line("kept");
  await file.close();
  assert.equal(await Deno.readTextFile(`${dir}/access.log`), "kept\n");
  assert.match(told[1] ?? "", /dropped .*"lines":2/);
});
