import assert from "node:assert/strict";
import { UsageError } from "../errors.ts";
import { parse } from "../args.ts";
import { layoutOf, makeFolders } from "./layout.ts";
import { START_OPTIONS } from "./options.ts";
import { settle } from "./settle.ts";

Deno.test("FastDFS's protocol stays in the plan until it is turned off", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-settle-" });
  const layout = layoutOf(dir);
  const start = async (...more: string[]) => {
    const words = ["--listen", "127.0.0.1:0", ...more];
    return (await settle(layout, parse(words, START_OPTIONS).values)).fastdfs;
  };
  try {
    await makeFolders(layout);
    assert.equal(await start(), undefined);
    assert.equal(await start("--fastdfs"), "127.0.10.1");
    assert.equal(await start(), "127.0.10.1");
    assert.equal(await start("--fastdfs-listen", "127.0.33.1"), "127.0.33.1");
    assert.equal(await start("--fastdfs"), "127.0.33.1");
    await assert.rejects(start("--fastdfs-listen", "127.0.33.254"), UsageError);
    assert.equal(await start(), "127.0.33.1", "a refused start keeps the plan");
    assert.equal(await start("--fastdfs-listen", "off"), undefined);
    assert.equal(await start(), undefined);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
