/**
 * FastDFS's own tools and test programs, unchanged, against us.
 *
 * They come from an installation of FastDFS that `FASTDFS_PREFIX` names (its
 * programs in `usr/bin`, its libraries in `usr/lib64` and `usr/lib`).
 */

import assert from "node:assert/strict";
import { type Finished, run } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import { type FastdfsStack, startFastdfs } from "../helpers/fastdfs_stack.ts";
import { Random } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";

const prefix = Deno.env.get("FASTDFS_PREFIX");
if (prefix === undefined) {
  say("fastdfs_tools_test: skipped, FASTDFS_PREFIX names no FastDFS");
}
const NORMAL_ID = /^group1\/M00\/\w\w\/\w\w\/[\w-]{27}[\w.]{7}$/;

/** Run a tool with its arguments. */
async function tool(name: string, ...args: string[]): Promise<Finished> {
  const usr = `${prefix}/usr`;
  return await run(["timeout", "60", `${usr}/bin/${name}`, ...args], {
    env: { LD_LIBRARY_PATH: `${usr}/lib64:${usr}/lib` },
  });
}

/** Run a tool that must succeed; gives its output. */
async function out(name: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tool(name, ...args);
  assert.equal(code, 0, `${name} ${args.join(" ")}:\n${stdout}${stderr}`);
  // The tools say every failure there, whatever they end with.
  assert.equal(stderr, "", name);
  return stdout.trim();
}

/** A cluster and a file, for one test. */
interface Desk {
  readonly stack: FastdfsStack;
  readonly conf: string;
  readonly dir: string;
  /** 5,000 random bytes. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

function withTools(name: string, work: (desk: Desk) => Promise<void>): void {
  Deno.test({
    name: `fastdfs tools: ${name}`,
    ignore: prefix === undefined,
    async fn() {
      await using scope = new Scope();
      const dir = await scope.tempDir();
      const stack = await startFastdfs(scope);
      const bytes = new Random(5).bytes(5_000);
      const file = `${dir}/file.bin`;
      await Deno.writeFile(file, bytes);
      await work({ stack, conf: stack.conf, dir, file, bytes });
    },
  });
}

withTools("a file from upload to delete", async (desk) => {
  const { conf, dir, file, bytes } = desk;
  const id = await out("fdfs_upload_file", conf, file);
  assert.match(id, NORMAL_ID);
  await out("fdfs_download_file", conf, id, `${dir}/whole`);
  assert.deepEqual(await Deno.readFile(`${dir}/whole`), bytes);
  await out("fdfs_download_file", conf, id, `${dir}/part`, "1000", "234");
  assert.deepEqual(
    await Deno.readFile(`${dir}/part`),
    bytes.slice(1000, 1234),
  );
  const crc = await out("fdfs_crc32", file);
  const info = await out("fdfs_file_info", conf, id);
  assert.match(info, /file type: normal/);
  assert.match(info, /file size: 5000/);
  assert(info.includes(`(0x${crc})`), info);

  await out("fdfs_delete_file", conf, id);
  const again = await tool("fdfs_delete_file", conf, id);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /No such file/);
});

withTools("every size reads back, also none", async (desk) => {
  const { conf, dir } = desk;
  for (const size of [0, 1, 65_536, 65_537, 20_000_000]) {
    const bytes = new Random(size + 1).bytes(size);
    await Deno.writeFile(`${dir}/in`, bytes);
    const id = await out("fdfs_upload_file", conf, `${dir}/in`);
    await Deno.remove(`${dir}/back`).catch(() => {});
    await out("fdfs_download_file", conf, id, `${dir}/back`);
    assert.deepEqual(await Deno.readFile(`${dir}/back`), bytes, `${size}`);
  }
});

withTools("an upload goes to the storage and path asked for", async (desk) => {
  const { conf, file, stack } = desk;
  const address = `${stack.storage(2)}:23000`;
  const id = await out("fdfs_upload_file", conf, file, address, "0");
  const info = await out("fdfs_file_info", conf, id);
  assert.match(info, /source storage id: 2/);
  const wrong = await tool("fdfs_upload_file", conf, file, address, "7");
  assert.equal(wrong.code, 22);
});

withTools("appender files grow and get a final name", async (desk) => {
  const { conf, dir, file, bytes } = desk;
  const id = await out("fdfs_upload_appender", conf, file);
  await out("fdfs_append_file", conf, id, file);
  await out("fdfs_append_file", conf, id, file);
  const text = await out("fdfs_regenerate_filename", conf, id);
  const final = text.split("\n").at(-1) ?? "";
  assert.match(final, NORMAL_ID);
  await out("fdfs_download_file", conf, final, `${dir}/whole`);
  const wanted = new Uint8Array([...bytes, ...bytes, ...bytes]);
  assert.deepEqual(await Deno.readFile(`${dir}/whole`), wanted);
  assert.match(await out("fdfs_file_info", conf, final), /file size: 15000/);
  const old = await tool("fdfs_append_file", conf, id, file);
  assert.equal(old.code, 2, "the old name is gone");
});

withTools("the test programs", async ({ conf, file, dir, bytes }) => {
  for (const program of ["fdfs_test", "fdfs_test1"]) {
    for (const how of ["FILE", "BUFF", "CALLBACK"]) {
      const text = await out(program, conf, "upload", file, how);
      assert.equal(text.match(/file size=5000/g)?.length, 2, text);
    }
  }
  for (const program of ["fdfs_appender_test", "fdfs_appender_test1"]) {
    for (const how of ["FILE", "BUFF", "CALLBACK"]) {
      const text = await out(program, conf, file, how);
      assert.match(text, /append file successfully/);
      assert.match(text, /modify file successfully/);
    }
  }
  const text = await out("fdfs_test", conf, "upload", file);
  const [, name = ""] = /remote_filename=(\S+)/.exec(text) ?? [];
  const servers = await out(
    ...["fdfs_test", conf, "query_servers", "group1", name] as const,
  );
  assert.match(servers, /server list \(2\)/);
  const meta = await out("fdfs_test", conf, "getmeta", "group1", name);
  assert.match(meta, /width=160/);
  await out("fdfs_test", conf, "setmeta", "group1", name, "O", "a=1,b=2");
  const changed = await out("fdfs_test", conf, "getmeta", "group1", name);
  assert.match(changed, /a=1[^]*b=2/);
  assert.doesNotMatch(changed, /width/);
  const to = `${dir}/by-test`;
  await out("fdfs_test", conf, "download", "group1", name, to);
  assert.deepEqual(await Deno.readFile(to), bytes);
  await out("fdfs_test", conf, "delete", "group1", name);
  const gone = await tool("fdfs_test", conf, "delete", "group1", name);
  assert.match(gone.stdout + gone.stderr, /errno: 2|error no: 2|No such file/);
});

withTools("the monitor shows what both storages counted", async (desk) => {
  const { conf, dir, file } = desk;
  const ids: string[] = [];
  for (let n = 0; n < 6; n++) {
    ids.push(await out("fdfs_upload_file", conf, file));
  }
  for (const id of ids.slice(0, 4)) {
    await out("fdfs_download_file", conf, id, `${dir}/back`);
  }
  await out("fdfs_delete_file", conf, ids[0] ?? "");
  // Agents tell their counters with every heartbeat.
  await eventually(async () => {
    const text = await out("fdfs_monitor", conf);
    const all = (name: string) => {
      const found = [...text.matchAll(RegExp(`\\b${name} = (\\d+)`, "g"))];
      assert.equal(found.length, 2, name);
      return found.reduce((sum, [, count]) => sum + Number(count), 0);
    };
    assert.equal(all("total_upload_count"), 6, text);
    assert.equal(all("success_upload_count"), 6);
    assert.equal(all("success_upload_bytes"), 6 * 5_000);
    assert.equal(all("success_download_count"), 4);
    assert.equal(all("success_download_bytes"), 4 * 5_000);
    assert.equal(all("success_delete_count"), 1);
    const year = new Date().getFullYear();
    assert.match(text, RegExp(`last_source_update = ${year}-`));
    assert.match(text, RegExp(`last_sync_update = ${year}-`));
    assert.match(text, /last_synced_timestamp = .*\(0 second delay\)/);
    return true;
  }, { what: "the counters of both storages" });
});

withTools("the monitors", async ({ conf, stack }) => {
  const all = await out("fdfs_monitor", conf);
  assert.match(all, /group count: 1/);
  assert.match(all, /storage server count = 2/);
  assert.match(all, /writable server count = 2/);
  for (const index of [1, 2]) {
    assert(all.includes(`${stack.storage(index)}:23000  ACTIVE`), all);
  }
  const trackers = await out("fdfs_tracker_stat", "-c", conf);
  assert.match(trackers, /is_leader: 1, is_active: 1/);
  const storages = await out("fdfs_storage_stat", "-c", conf);
  assert.match(storages, /storage server count: 2/);
  const volumes = await out("fdfs_volumn_stat", "-c", conf);
  assert.match(volumes, /group1 disk_available: 1/);
  const busy = await tool(
    ...["fdfs_monitor", conf, "delete", "group1", "1"] as const,
  );
  assert.match(busy.stdout + busy.stderr, /16/, "an active storage stays");
});

withTools(
  "clients with pools, parameters and numbers of storages",
  async (desk) => {
    const { conf, dir, file, bytes } = desk;
    const text = await Deno.readTextFile(conf);
    const other = `${dir}/client.conf`;
    await Deno.writeTextFile(
      other,
      text.replace("use_connection_pool = false", "use_connection_pool = true")
        .replace("from_tracker = false", "from_tracker = true"),
    );
    const id = await out("fdfs_upload_file", other, file);
    await out("fdfs_download_file", other, id, `${dir}/whole`);
    assert.deepEqual(await Deno.readFile(`${dir}/whole`), bytes);
    const info = await out("fdfs_file_info", other, id);
    assert.match(info, /source ip address: 127\./);
    const program = await out("fdfs_test", other, "upload", file);
    assert.equal(program.match(/file size=5000/g)?.length, 2);
    const trunk = await tool(
      ...["fdfs_monitor", other, "set_trunk_server", "group1"] as const,
    );
    assert.match(trunk.stdout + trunk.stderr, /95/, "there are no trunk files");
  },
);
