/**
 * The data of a real FastDFS: what it wrote is taken in and read by every door,
 * and what we write, it starts on and reads.
 *
 * FastDFS comes from an installation that `FASTDFS_PREFIX` names.
 */

import assert from "node:assert/strict";
import type { MigrationView } from "@kedge/schema/migration";
import { isTrunkFileName } from "@kedge/schema/fastdfs";
import { readFile, readStatus } from "../helpers/api.ts";
import { run } from "../helpers/child.ts";
import { FastdfsServer, fastdfsTool } from "../helpers/fastdfs_server.ts";
import { startFastdfs } from "../helpers/fastdfs_stack.ts";
import { eventually } from "../helpers/eventually.ts";
import { Random } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand, type Stack } from "../helpers/stack.ts";

const prefix = Deno.env.get("FASTDFS_PREFIX") ?? "";
if (prefix === "") {
  say("fastdfs_data_test: skipped, FASTDFS_PREFIX names no FastDFS");
}

/** Content of every file, by ID. */
type Files = Map<string, Uint8Array<ArrayBuffer>>;

async function migrate(
  { ready, data }: Stack,
  words: readonly string[],
): Promise<MigrationView> {
  const { code, stdout, stderr } = await run(
    kedgeCommand([...words, "--json"]),
    {
      env: {
        KEDGE_TRACKER: ready.tracker,
        KEDGE_KEY_FILE: `${data}/admin.key`,
      },
    },
  );
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout) as MigrationView;
}

/** What clients of FastDFS make: every kind of file. */
async function fill(server: FastdfsServer, dir: string): Promise<Files> {
  const files: Files = new Map();
  const random = new Random(3);
  const make = async (size: number) => {
    const bytes = random.bytes(size);
    const path = `${dir}/file-${size}.txt`;
    await Deno.writeFile(path, bytes);
    return { bytes, path };
  };
  // Packed up to 64 KiB when trunk files are on.
  for (const size of [1, 300, 5000, 60_000, 70_000, 2_000_000]) {
    const { bytes, path } = await make(size);
    files.set(await server.tool("fdfs_upload_file", path), bytes);
    files.set(await server.tool("fdfs_upload_file", path), bytes);
  }
  // Slaves and metadata, of a packed master and of another.
  for (const size of [5001, 90_000]) {
    const { bytes, path } = await make(size);
    const said = await server.tool("fdfs_test", "upload", path, "FILE");
    for (const [, name] of said.matchAll(/remote_filename=(\S+)/g)) {
      files.set(`group1/${name}`, bytes);
    }
  }
  const { bytes, path } = await make(700);
  const appender = await server.tool("fdfs_upload_appender", path);
  await server.tool("fdfs_append_file", appender, path);
  files.set(appender, new Uint8Array([...bytes, ...bytes]));
  const frozen = await server.tool("fdfs_upload_appender", path);
  const said = await server.tool("fdfs_regenerate_filename", frozen);
  files.set(said.split("\n").at(-1) ?? "", bytes);
  const gone = await server.tool("fdfs_upload_file", path);
  await server.tool("fdfs_delete_file", gone);
  return files;
}

/** Read every file with FastDFS's own tool. */
async function download(conf: string, files: Files, dir: string) {
  for (const [id, bytes] of files) {
    const to = `${dir}/back`;
    await Deno.remove(to).catch(() => {});
    const words = [conf, id, to];
    const { stdout, stderr } = await fastdfsTool(
      ...[prefix, "fdfs_download_file", words] as const,
    );
    assert.equal(stderr, "", `${id}: ${stdout}`);
    assert.deepEqual(await Deno.readFile(to), bytes, id);
  }
}

async function facts(conf: string, id: string): Promise<string> {
  const { stdout } = await fastdfsTool(prefix, "fdfs_file_info", [conf, id]);
  const text = stdout.replace(/^source storage id.*$/m, "").trim();
  // FastDFS tells when a slave was made; its name tells when its master was.
  return /^file type: slave$/m.test(text)
    ? text.replace(/^file create timestamp.*$/m, "")
    : text;
}

// 60 s
Deno.test({
  name: "a real FastDFS is taken in, read everywhere, and written back",
  ignore: prefix === "",
  async fn() {
    await using scope = new Scope();
    const dir = await scope.tempDir();
    const storePaths = [`${dir}/base`, `${dir}/disk1`];
    const server = await FastdfsServer.start(scope, {
      ...{ prefix, dir, storePaths },
      useTrunkFile: true,
    });
    const files = await fill(server, dir);
    const stack = await startFastdfs(scope);
    const roots = storePaths.flatMap((path) => ["--store-path", path]);
    const from = ["--base", `${dir}/base`, ...roots, "--node", "2"];
    const words = ["import", "fastdfs", ...from];
    // It writes its binlog once a second.
    const probe = 1;
    await eventually(async () => {
      const seen = await migrate(stack, [...words, "--dry-run"]);
      assert.deepEqual(seen.problems, []);
      return seen.filesTotal === files.size + probe;
    }, { what: "FastDFS to have written all of it" });
    const view = await migrate(stack, words);
    assert.deepEqual(view.problems, []);
    assert.deepEqual(view.done, {
      normal: 4 + 1 + 1,
      appender: 1,
      derived: 2,
      packed: 8 + 1 + probe,
      duplicate: 0,
    });
    assert.equal(view.withMeta, 4);
    for (const [id, bytes] of files) {
      for (const { url } of stack.ready.agents) {
        assert.deepEqual(await readFile(url, id), bytes, `${id} at ${url}`);
      }
      const real = await facts(server.conf, id);
      assert.equal(await facts(stack.conf, id), real);
    }
    await download(stack.conf, files, dir);

    const to = `${dir}/export`;
    const written = await migrate(stack, [
      ...["export", "fastdfs", "--to", to, "--node", "1"],
    ]);
    assert.deepEqual(written.problems, []);
    await server.stop();
    for (const useTrunkFile of [false, true]) {
      const folder = `${dir}/again-${useTrunkFile}`;
      await Deno.mkdir(folder);
      const again = await FastdfsServer.start(scope, {
        ...{ prefix, dir: folder, storePaths: [to, `${to}/M01`] },
        useTrunkFile,
      });
      await download(again.conf, files, folder);
      await again.stop();
    }
  },
});

/**
 * Remove the trunk file, in which nothing is left: FastDFS does it ten minutes
 * after its start at the earliest (`delete_unused_trunk_files`).
 */
async function removeTrunk(storePath: string): Promise<void> {
  const folder = `${storePath}/data/00/00`;
  const trunks = [...Deno.readDirSync(folder)]
    .filter(({ name }) => isTrunkFileName(name));
  assert.equal(trunks.length, 1);
  for (const { name } of trunks) await Deno.remove(`${folder}/${name}`);
}

// 10 s each
for (const useTrunkFile of [false, true]) {
  Deno.test({
    name: "deletes in a FastDFS that works are followed, " +
      (useTrunkFile ? "with" : "without") + " trunk files",
    ignore: prefix === "",
    async fn() {
      await using scope = new Scope();
      const dir = await scope.tempDir();
      const storePath = `${dir}/base`;
      const server = await FastdfsServer.start(scope, {
        ...{ prefix, dir, storePaths: [storePath], useTrunkFile },
      });
      const upload = (tool = "fdfs_upload_file") =>
        server.tool(tool, `${dir}/probe`);
      const ids = [await upload(), await upload(), await upload()];
      const [first = "", second = "", third = ""] = ids;
      const grown = await upload("fdfs_upload_appender");
      const kept = await upload("fdfs_upload_appender");
      const stack = await startFastdfs(scope);
      const [{ url } = { url: "" }] = stack.ready.agents;
      const states = async (...ids: string[]) =>
        await Promise.all(ids.map((id) => readStatus(url, id)));
      const base = ["import", "fastdfs", "--base", storePath, "--node", "1"];
      const words = [...base, useTrunkFile ? "--copy" : "--link"];
      const imported = async (...ids: string[]) =>
        await eventually(async () => {
          await migrate(stack, words);
          return (await states(...ids)).every((status) => status === 200);
        }, { what: "the binlog to be written", deadlineMs: 30_000 });
      await imported(first, second, third, grown, kept);

      const follow = [...words, "--follow-deletes"];
      const followed = async (count: number) =>
        await eventually(async () => {
          const { deleted, problems } = await migrate(stack, follow);
          const others = problems.filter(({ kind }) => kind !== "deleted");
          assert.deepEqual(others, []);
          return (count -= deleted) === 0;
        }, { what: "the deletes to be in the binlog", deadlineMs: 30_000 });
      await server.tool("fdfs_delete_file", first);
      const said = await server.tool("fdfs_regenerate_filename", grown);
      const final = said.split("\n").at(-1) ?? "";
      await followed(2);
      assert.deepEqual(
        await states(first, grown, second, third, kept, final),
        [404, 404, 200, 200, 200, 200],
      );
      const binlog = await Deno
        .readTextFile(`${storePath}/data/sync/binlog.000`);
      const made = [...binlog.matchAll(/ C (\S+)/g)]
        .map(([, name]) => `group1/${name}`);
      const packed = made.filter((id) => ![first, grown, kept].includes(id));
      for (const id of packed) await server.tool("fdfs_delete_file", id);
      if (useTrunkFile) await removeTrunk(storePath);
      await followed(packed.length);
      assert.deepEqual(
        await states(...packed, kept, final),
        [...packed.map(() => 404), 200, 200],
      );
      await server.stop();
    },
  });
}
