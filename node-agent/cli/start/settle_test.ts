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

Deno.test("every option of a start stays in the plan until another is said", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-settle-" });
  const layout = layoutOf(dir);
  const start = async (...more: string[]) => {
    const words = ["--listen", "127.0.0.1:0", ...more];
    const { nginx, access, tls } = await settle(
      layout,
      parse(words, START_OPTIONS).values,
    );
    return [nginx, access, tls?.certFile];
  };
  const own = ["--tls-cert", "/c.pem", "--tls-key", "/k.pem"];
  const local = `${layout.tls}/server.pem`;
  try {
    await makeFolders(layout);
    assert.deepEqual(await start(), [false, "open", undefined]);
    assert.deepEqual(await start("--nginx"), [true, "open", undefined]);
    assert.deepEqual(await start("--access", "key"), [true, "key", undefined]);
    assert.deepEqual(await start(...own), [true, "key", "/c.pem"]);
    assert.deepEqual(await start(), [true, "key", "/c.pem"]);
    await assert.rejects(start("--nginx", "--no-nginx"), UsageError);
    assert.deepEqual(await start("--no-nginx"), [false, "key", "/c.pem"]);
    assert.deepEqual(await start("--access", "open"), [
      false,
      "open",
      "/c.pem",
    ]);
    assert.deepEqual(await start("--tls"), [false, "open", local]);
    assert.deepEqual(await start(), [false, "open", local]);
    const everywhere = ["--listen", "0.0.0.0:0", "--advertise", "127.0.0.1"];
    assert.deepEqual(await start(...everywhere), [false, "key", local]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
