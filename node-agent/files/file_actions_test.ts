import assert from "node:assert/strict";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import { FileActions, type Pending } from "./file_actions.ts";
import { Layout } from "./layout.ts";
import { withDir } from "./store_fixture.ts";

const ID = "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";
const CREATED_S = 1_795_331_068;
const MADE_S = 1_600_000_000;

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

Deno.test("content that changed has a time of its own", () =>
  withDir(async (dir) => {
    await Deno.mkdir(`${dir}/data/.tmp`, { recursive: true });
    await Deno.writeTextFile(`${dir}/data/.kedge-path`, "");
    const layout = new Layout(dir, [dir]);
    const actions = new FileActions(layout, true);
    const id = encodeFileId(
      { group: "group1", pathIndex: 0, high: 1, low: 2 },
      encodeFileName({ ...NAME, createdS: MADE_S, appender: true }),
    );
    const timeOf = () => Deno.statSync(layout.file(id, 0)).mtime?.getTime();
    const change = (version: number) => {
      const token = `made-${version}`;
      Deno.writeTextFileSync(layout.staged(0, token), "content");
      actions.perform({ ...PENDING, id, version, kind: "rename", token }, null);
    };
    change(1);
    assert.equal(timeOf(), MADE_S * 1000);
    change(2);
    // Or nobody who asks for what is newer would ever see it.
    assert((timeOf() ?? 0) > MADE_S * 1000);
  }));

const NAME = {
  ...{ origin: 1, sizeBytes: 7, crc32: 1, random: 1, digits: 1 },
  extension: "txt",
};

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
