import assert from "node:assert/strict";
import { takeRunFolder } from "./run_folder.ts";

async function inFolder(
  test: (runDir: string, socket: string) => Promise<void>,
): Promise<void> {
  const runDir = await Deno.makeTempDir({ prefix: "kedge-run-" });
  try {
    await test(runDir, `${runDir}/mirror.sock`);
  } finally {
    await Deno.remove(runDir, { recursive: true });
  }
}

Deno.test("a folder has one daemon, also when two start at once", async () => {
  await inFolder(async (runDir, socket) => {
    using _first = await takeRunFolder(runDir, socket);
    using _door = Deno.listen({ transport: "unix", path: socket });
    await assert.rejects(
      takeRunFolder(runDir, socket),
      /Another mirror daemon listens/,
    );
  });
});

Deno.test("a daemon that starts waits for the end of one that ends", async () => {
  await inFolder(async (runDir, socket) => {
    const first = await takeRunFolder(runDir, socket);
    const next = takeRunFolder(runDir, socket);
    first[Symbol.dispose]();
    using second = await next;
    assert.notEqual(second, undefined);
  });
});
