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
