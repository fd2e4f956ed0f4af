import assert from "node:assert/strict";
import { encodeFileName } from "@kedge/schema/file-id";
import { SourceTree } from "./source_tree.ts";

Deno.test("a folder with many files is looked at in parts", async () => {
  const root = await Deno.makeTempDir({ prefix: "kedge-tree-" });
  try {
    const folder = `${root}/data/00/01`;
    await Deno.mkdir(folder, { recursive: true });
    for (let digits = 0; digits < 1500; digits++) {
      const name = encodeFileName({
        ...{ origin: 1, createdS: 1_800_000_000, sizeBytes: 0, crc32: 0 },
        ...{ appender: false, random: 7, digits, extension: "x" },
      });
      Deno.writeFileSync(`${folder}/${name}`, new Uint8Array());
      Deno.writeFileSync(`${folder}/${name}-m`, new Uint8Array());
    }
    const ids = new Set<string>();
    let parts = 0;
    for await (const part of new SourceTree("group1", [root]).folders()) {
      assert.deepEqual(part.oddities, []);
      assert(part.files.length <= 1000);
      for (const { id, metaPath } of part.files) {
        ids.add(id);
        assert(metaPath !== undefined, "it may be in another part");
      }
      if (part.path === folder) parts++;
    }
    assert.deepEqual([ids.size, parts], [1500, 3]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("of a folder whose listing breaks off only that is said", async () => {
  const root = await Deno.makeTempDir({ prefix: "kedge-tree-" });
  const { readDir } = Deno;
  try {
    const folder = `${root}/data/00/01`;
    await Deno.mkdir(folder, { recursive: true });
    const [first, second] = [1, 2].map((random) =>
      encodeFileName({
        ...{ origin: 1, createdS: 1_800_000_000, sizeBytes: 0, crc32: 0 },
        ...{ appender: false, random, digits: 0, extension: "x" },
      })
    );
    // The metadata of the first and the second file itself are not seen.
    Deno.readDir = async function* (path) {
      await Promise.resolve();
      if (path !== folder) return;
      const kind = { isFile: true, isDirectory: false, isSymlink: false };
      yield { name: `${first}`, ...kind };
      yield { name: `${second}-m`, ...kind };
      throw new Error("Input/output error (os error 5)");
    };
    const parts = await Array.fromAsync(
      new SourceTree("group1", [root]).folders(),
    );
    const files = parts.flatMap((part) => part.files);
    assert.deepEqual(
      files.map(({ path, metaPath }) => [path, metaPath]),
      [[`${folder}/${first}`, `${folder}/${first}-m`]],
    );
    const [oddity, ...more] = parts.flatMap((part) => part.oddities);
    assert.deepEqual([oddity?.reason, more], ["unreadable-folder", []]);
    assert.match(oddity?.detail ?? "", /not be read to its end \(Input.*again/);
  } finally {
    Deno.readDir = readDir;
    await Deno.remove(root, { recursive: true });
  }
});
