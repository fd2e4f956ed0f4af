/**
 * `docs/coming-from-fastdfs.md` does what it says: every `sh` block that follows
 * a `<!-- tested -->` mark is run, in order, in one shell. 16 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { encodeFileName } from "@kedge/schema/file-id";
import {
  TUTORIAL_STORAGE,
  TUTORIAL_TRACKER,
} from "../../schema/fastdfs_conf/tutorial_fixture.ts";
import { run } from "../helpers/child.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand, ROOT, startStack } from "../helpers/stack.ts";

Deno.test("docs/coming-from-fastdfs.md does what it says", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/coming-from-fastdfs.md`);
  const blocks = [
    ...page.matchAll(/<!-- tested -->\s*```sh\n([\s\S]*?)```/g),
  ].map(([, block = ""]) => block);
  assert.equal(blocks.length, 5);
  await using scope = new Scope();
  const dir = await scope.tempDir();
  await startStack(scope, {
    data: `${dir}/kedge-data`,
    flags: ["--nginx"],
  });
  await kedgeOnPath(dir);
  await Deno.mkdir(`${dir}/etc`);
  await Deno.writeTextFile(`${dir}/etc/storage.conf`, TUTORIAL_STORAGE);
  await Deno.writeTextFile(`${dir}/etc/tracker.conf`, TUTORIAL_TRACKER);
  const id = await oldStorage(`${dir}/storage`);
  const script = [
    ...blocks,
    // What the page promises of old IDs.
    `test "$(kedge download ${id} -o -)" = "from FastDFS"`,
  ].join("\n").replaceAll("/etc/fdfs", `${dir}/etc`)
    .replaceAll("/data/fastdfs/storage", `${dir}/storage`);
  const { code, stdout, stderr } = await run(
    ["bash", "-euxo", "pipefail", "-c", script],
    {
      cwd: dir,
      env: {
        PATH: `${dir}/bin:${Deno.env.get("PATH")}`,
        ...scope.environment(),
      },
    },
  );
  assert.equal(code, 0, `--- stdout\n${stdout}\n--- stderr\n${stderr}`);
  assert.match(stdout, /\?token=[0-9a-f]{32}&ts=\d+/);
  assert.match(stdout, /ok +group1 +delete it, and no node has it/);
});

/** The command that the page has. */
async function kedgeOnPath(dir: string): Promise<void> {
  await Deno.mkdir(`${dir}/bin`);
  const words = kedgeCommand([]).map((word) => `'${word}'`).join(" ");
  const text = `#!/bin/sh\nexec ${words} "$@"\n`;
  await Deno.writeTextFile(`${dir}/bin/kedge`, text, { mode: 0o755 });
}

/** The folders of a FastDFS storage with one file. */
async function oldStorage(base: string): Promise<string> {
  const bytes = new TextEncoder().encode("from FastDFS\n");
  const name = encodeFileName({
    origin: "192.168.1.2",
    createdS: 1_700_000_000,
    sizeBytes: bytes.length,
    crc32: crc32(bytes),
    appender: false,
    random: 4711,
    digits: 123,
    extension: "txt",
  });
  await Deno.mkdir(`${base}/data/00/01`, { recursive: true });
  await Deno.writeFile(`${base}/data/00/01/${name}`, bytes);
  return `group1/M00/00/01/${name}`;
}
