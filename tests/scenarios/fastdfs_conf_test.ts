/** The tutorial's configuration files, as they are, start a cluster. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { run } from "../../node-agent/cli/testdata/fake_context.ts";
import {
  TUTORIAL_STORAGE,
  TUTORIAL_TRACKER,
} from "../../schema/fastdfs_conf/tutorial_fixture.ts";
import { Child } from "../helpers/child.ts";
import { eventually } from "../helpers/eventually.ts";
import {
  downloadBody,
  idIn,
  named,
  RawFastdfs,
  uploadBody,
} from "../helpers/fastdfs_raw.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand, loopbackAddress } from "../helpers/stack.ts";

const READY_MS = 40_000;

Deno.test("fastdfs: tracker.conf and storage.conf of the tutorial start a cluster that takes an upload", async () => {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const base = loopbackAddress().replace(/\.\d+$/, "");
  const [trackerHost, storageHost] = [`${base}.1`, `${base}.2`];
  // What every user must change, folders and addresses, and what shows.
  const adapted = (text: string, host: string) =>
    text.replaceAll("/home/fastdfs", dir)
      .replaceAll("192.168.209.121", trackerHost)
      .replace("check_file_duplicate=0", "check_file_duplicate=1")
      .replace("subdir_count_per_path=256", "subdir_count_per_path=2")
      .replace("rotate_count=100", "rotate_count=1")
      .replace("bind_addr=", `bind_addr=${host}`);
  const [trackerConf, storageConf] = [
    `${dir}/tracker.conf`,
    `${dir}/storage.conf`,
  ];
  await Deno.writeTextFile(trackerConf, adapted(TUTORIAL_TRACKER, trackerHost));
  await Deno.writeTextFile(storageConf, adapted(TUTORIAL_STORAGE, storageHost));
  const files = [storageConf, trackerConf];
  const imported = await run(["config", "import", "--json", ...files]);
  assert.equal(imported.code, 0, imported.out + imported.err);
  const { agent, problems } = JSON.parse(imported.out);
  assert.deepEqual(problems, []);
  assert.equal(agent.tracker, `http://${trackerHost}:8080`);

  // The disk of a test may be fuller than the tutorial's.
  const env = scope.environment({ KEDGE_RESERVED_STORAGE_SPACE: "1MB" });
  const tracker = Child.start(scope, {
    command: kedgeCommand(
      ["tracker", "--fastdfs-conf", trackerConf, "--access", "open"],
    ),
    env,
  });
  await tracker.line(/"ready":true/, READY_MS);
  const token = await run([
    ...["token", "create", "--tracker", agent.tracker],
    ...["--group", agent.group, "--create-group"],
  ], { fetch });
  assert.equal(token.code, 0, token.err);
  await Deno.writeTextFile(`${dir}/token`, token.out.trim());
  const confs = files.flatMap((file) => ["--fastdfs-conf", file]);
  const startNode = async (...more: string[]) => {
    const command = kedgeCommand(["agent", "--json", ...confs, ...more]);
    const node = Child.start(scope, { command, env });
    await node.line(/"ready":true/, READY_MS);
    return node;
  };
  const node = await startNode("--token-file", `${dir}/token`);

  using asking = await RawFastdfs.connect({
    hostname: trackerHost,
    port: 22122,
  });
  // Until the tracker has heard the node's first report there is no group.
  const body = await eventually(async () => {
    const { status, body } = await asking.call(101);
    assert.equal(status, 0);
    return body;
  }, { what: "a group for uploads" });
  assert.match(body.toString("latin1"), /^group1\0/);
  assert(body.includes(storageHost));
  using storage = await RawFastdfs.connect({
    hostname: storageHost,
    port: 23000,
  });
  const content = Buffer.from("as in the tutorial");
  const uploaded = await storage.call(11, uploadBody(content, { path: 1 }));
  assert.equal(uploaded.status, 0);
  const id = idIn(uploaded.body);
  assert.match(id, /^group1\/M01\/00\/00\//);
  const path = `${dir}/storage2/data/${id.slice("group1/M01/".length)}`;
  // What is answered is kept at once; its file follows.
  const file = await eventually(() => Deno.readFile(path), { what: path });
  assert.deepEqual(file, new Uint8Array(content));
  const twice = await storage.call(11, uploadBody(content, { path: 1 }));
  const second = idIn(twice.body);
  assert.notEqual(second, id);
  const other = `${dir}/storage2/data/${second.slice("group1/M01/".length)}`;
  await eventually(async () => {
    return (await Deno.stat(other)).ino === (await Deno.stat(path)).ino;
  }, { what: "both names to share one file" });
  assert.equal((await storage.call(12, named(second))).status, 0);
  const folders = [];
  for (const name of ["a", "b", "c"]) {
    const { body } = await storage.call(11, uploadBody(Buffer.from(name)));
    folders.push(idIn(body).split("/").slice(2, 4).join("/"));
  }
  assert.deepEqual(folders, ["01/00", "01/01", "00/00"], "the next each time");
  const read = await storage.call(14, downloadBody(id));
  assert.deepEqual(read.body, content);

  // The node gets another address, as with storage_ip_changed_auto_adjust: it
  // is the same node, and the old ID is found there.
  await node.stop();
  const movedHost = `${base}.3`;
  await Deno.writeTextFile(storageConf, adapted(TUTORIAL_STORAGE, movedHost));
  await startNode();
  await eventually(async () => {
    const address = { hostname: trackerHost, port: 22122 };
    using again = await RawFastdfs.connect(address);
    const { status, body } = await again.call(102, named(id));
    assert.equal(status, 0);
    assert(body.includes(movedHost), body.toString("latin1"));
    return true;
  }, { what: "the new address" });
  using moved = await RawFastdfs.connect({ hostname: movedHost, port: 23000 });
  assert.deepEqual((await moved.call(14, downloadBody(id))).body, content);
});
