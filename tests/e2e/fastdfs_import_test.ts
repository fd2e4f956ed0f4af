/**
 * `kedge import fastdfs` and `kedge export fastdfs` as an operator runs them,
 * against real agents, on storages written from the layout of the format.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MigrationView } from "@kedge/schema/migration";
import { exists } from "../../node-agent/files/disk.ts";
import { readFile, readStatus } from "../helpers/api.ts";
import { type Finished, run } from "../helpers/child.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually } from "../helpers/eventually.ts";
import { FastdfsBase } from "../helpers/fastdfs_base.ts";
import { sums } from "../helpers/migration_desk.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand } from "../helpers/stack.ts";

/** Run `kedge` against a cluster. */
async function kedge(cluster: Cluster, words: string[]): Promise<Finished> {
  return await run(kedgeCommand(words), {
    env: { KEDGE_TRACKER: cluster.tracker.url },
  });
}

/** Run an import or export, and give its result. */
async function migrate(
  cluster: Cluster,
  words: string[],
): Promise<MigrationView> {
  const { code, stdout, stderr } = await kedge(cluster, [...words, "--json"]);
  assert.equal(code, 0, stdout + stderr);
  return JSON.parse(stdout) as MigrationView;
}

/** Every file at one agent, as it is read by its old URL. */
async function readAll(
  url: string,
  ids: Iterable<string>,
): Promise<Map<string, string>> {
  const found = new Map<string, Uint8Array>();
  for (const id of ids) found.set(id, await readFile(url, id));
  return sums(found);
}

/**
 * Two storages of one group whose replicas were not equal are taken in at the
 * same moment by two members, which agree in the end.
 */
async function importTwice(cluster: Cluster, dir: string): Promise<void> {
  const ids = new Set<string>();
  const imports = cluster.agents.map(async ({ node }, late) => {
    const base = await FastdfsBase.make([`${dir}/twin-${late}`], { seed: 9 });
    for (let count = 0; count < 40; count++) {
      const id = base.newId(new Uint8Array(), { appender: true });
      await base.write(id, new Uint8Array(100 + late * count).fill(count));
      if (count % 2 === late) await base.setMeta(id, { of: `${late}` });
      ids.add(id);
    }
    return ["import", "fastdfs", "--base", base.base, "--node", `${node}`];
  });
  const words = await Promise.all(imports);
  assert.equal(ids.size, 40);
  await Promise.all(words.map((one) => migrate(cluster, one)));
  const [one, two] = cluster.pair;
  await eventually(async () => {
    const seen = await Promise.all(
      [one, two].map(({ node }) => cluster.api.list(node)),
    );
    assert.deepEqual(seen[0], seen[1]);
    const [here, there] = [one.url, two.url].map((url) => readAll(url, ids));
    assert.deepEqual(await here, await there);
    return true;
  }, { what: "both members to agree" });
}

// 8 s
Deno.test("an import that is killed is finished by running it again", async () => {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const base = await FastdfsBase.make([`${dir}/fdfs`]);
  for (let count = 0; count < 600; count++) {
    await base.add(base.bytes(1000 + count));
    if (count % 3 === 0) await base.addPacked(base.bytes(500 + count));
    if (count % 20 === 0) await base.add(base.bytes(100_000 + count));
  }
  const [first = ""] = base.files.keys();
  await base.setMeta(first, { a: "1" });
  const slave = `${first}_s`;
  await base.write(slave, base.bytes(10));
  const cluster = await Cluster.start(scope, { agents: 2 });
  const [one, two] = cluster.pair;
  const words = ["import", "fastdfs", "--base", base.base, "--link"];
  const node = ["--node", String(one.node)];
  await importTwice(cluster, dir);

  const asked = kedge(cluster, [...words, ...node, "--rate-limit", "2MB"]);
  await eventually(async () => {
    return (await cluster.api.list(one.node)).length >= 340;
  }, { what: "a part of the files to be taken in" });
  await one.kill();
  assert.notEqual((await asked).code, 0, "it says that it was not finished");
  await one.startAndWait();
  await cluster.untilInSync();
  const view = await migrate(cluster, [...words, ...node]);
  const total = base.files.size;
  const taken = Object.values(view.done).reduce((sum, count) => sum + count);
  assert.deepEqual([view.problems, taken + view.known], [[], total]);
  assert(view.known >= 300, `${view.known} were there`);
  const wanted = sums(base.files);
  for (const agent of [one, two]) {
    assert.deepEqual(await readAll(agent.url, base.files.keys()), wanted);
  }
  const left = [...Deno.readDirSync(`${one.dir}/store/data/.tmp`)];
  assert.deepEqual(left, [], "no second names are left");

  // Like every other file, it can be deleted, at every member.
  const gone = await kedge(cluster, ["delete", first]);
  assert.equal(gone.code, 0, gone.stderr);
  assert.equal(await readStatus(two.url, first), 404);
  assert.equal((await migrate(cluster, [...words, ...node])).skipped, 1);

  // Deleted in FastDFS, and followed when asked for.
  await Deno.remove(base.path(slave));
  await base.logDelete(slave);
  const follow = [...words, ...node, "--follow-deletes"];
  const dry = await migrate(cluster, [...follow, "--dry-run"]);
  assert.deepEqual([dry.deleted, await readStatus(two.url, slave)], [1, 200]);
  assert.equal((await migrate(cluster, follow)).deleted, 1);
  assert.equal(await readStatus(two.url, slave), 404);
});

/** Whether a file lies on its own below a store path. */
function hasOwnFile(storePath: string, id: string): boolean {
  return exists(`${storePath}/data/${id.split("/").slice(2).join("/")}`);
}

// 6 s
Deno.test("a storage is taken over in place, joined by others, and written back", async () => {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const root = `${dir}/fdfs`;
  const base = await FastdfsBase.make([root]);
  const large = await base.add(base.bytes(300_000));
  const small = await base.add(base.bytes(3000), { meta: { a: "1" } });
  await base.addDuplicate(large);
  await base.addPacked(base.bytes(200));
  const appender = base.newId(new Uint8Array(), { appender: true });
  await base.write(appender, base.bytes(70_000));
  const inode = Deno.statSync(base.path(large)).ino;
  const cluster = await Cluster.start(scope, {
    agents: 1,
    agentEnv: { KEDGE_STORE_PATHS: root },
  });
  const one = cluster.agent(0);
  const words = ["import", "fastdfs", "--base", root, "--in-place"];
  const view = await migrate(cluster, words);
  assert.deepEqual([view.state, view.problems], ["done", []]);
  assert.equal(Deno.statSync(base.path(large)).ino, inode);
  const packs = ["group", "set", "group1", "--small-file-max", "16KB"];
  assert.equal((await kedge(cluster, packs)).code, 0);
  // A running member follows; what it has stays as it is.
  await eventually(async () => {
    const { id } = await cluster.api.upload(new Uint8Array(100));
    const isPacked = !hasOwnFile(root, id);
    await cluster.api.remove(id);
    return isPacked;
  }, { what: "small files to be packed" });
  assert(hasOwnFile(root, small));
  const two = await cluster.addAgent({ KEDGE_STORE_PATHS: `${dir}/two` });
  await cluster.untilInSync();
  assert(!hasOwnFile(`${dir}/two`, small) && hasOwnFile(`${dir}/two`, large));
  const wanted = sums(base.files);
  for (const agent of [one, two]) {
    assert.deepEqual(await readAll(agent.url, base.files.keys()), wanted);
  }
  const to = `${dir}/back`;
  const node = ["--node", String(two.node)];
  const back = await migrate(cluster, [
    "export",
    "fastdfs",
    "--to",
    to,
    ...node,
  ]);
  assert.deepEqual([back.state, back.filesDone], ["done", 5]);
  const again = await migrate(cluster, [
    ...["import", "fastdfs", "--base", to, ...node],
  ]);
  assert.deepEqual([again.known, again.problems], [5, []]);
  const unclear = await kedge(cluster, words);
  assert.equal(unclear.code, 2);
  assert.match(unclear.stderr, /--node/);
});
