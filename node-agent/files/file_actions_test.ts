import assert from "node:assert/strict";
import { FileActions, type Pending } from "./file_actions.ts";
import { Layout } from "./layout.ts";

const ID = "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";
const CREATED_S = 1_795_331_068;

Deno.test("nobody beside us sees a small file before it is whole", async () => {
  const dir = await Deno.makeTempDir();
  const write = Deno.writeFileSync;
  try {
    await Deno.mkdir(`${dir}/data/.tmp`, { recursive: true });
    await Deno.writeTextFile(`${dir}/data/.kedge-path`, "");
    const final = `${dir}/data/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt`;
    const written: string[] = [];
    Deno.writeFileSync = (path, ...rest) => {
      written.push(String(path));
      return write(path, ...rest);
    };
    const actions = new FileActions(new Layout(dir, [dir]), true);
    actions.perform(PENDING, new TextEncoder().encode("hello"));
    assert.deepEqual(written, [`${dir}/data/.tmp/write-7`]);
    assert.equal(await Deno.readTextFile(final), "hello");
    const { mtime } = await Deno.stat(final);
    assert.equal(
      mtime?.getTime(),
      CREATED_S * 1000,
      "the same on all replicas",
    );
  } finally {
    Deno.writeFileSync = write;
    await Deno.remove(dir, { recursive: true });
  }
});

const PENDING: Pending = {
  number: 7,
  id: ID,
  epoch: 1,
  version: 1,
  kind: "write",
  pathIndex: 0,
  token: "",
  offset: 0,
  replaces: false,
  sinceMs: 0,
  done: false,
};
