import assert from "node:assert/strict";
import { run } from "../testdata/fake_context.ts";

Deno.test("a volume that cannot be made leaves no file behind", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-create-" });
  const config = `${dir}/etc/drbd.conf`;
  const create = (name: string, ...more: readonly string[]) =>
    run([
      ...["volume", "create", name, "--disk", `${dir}/disk`],
      ...["--listen", "127.0.0.1:7789", "--peer", "b=127.0.0.2:7789"],
      ...["--config", config, "--run-dir", `${dir}/run`, ...more],
    ]);
  try {
    const outside = await create("../../outside", "--size", "1M");
    assert.match(outside.err, /is no name of a volume/);
    const noSize = await create("db");
    assert.match(noSize.err, /say --size 10G/);
    assert.deepEqual([outside.code, noSize.code], [2, 2]);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
