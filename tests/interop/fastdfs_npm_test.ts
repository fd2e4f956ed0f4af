/**
 * FastDFS's clients from npm, unchanged and at pinned versions, in processes of
 * their own: what they did with FastDFS they do with us.
 *
 * Two of the three read lists of groups and storages only in the layout of
 * FastDFS 5, which `fastdfs_lists` gives them.
 */

import assert from "node:assert/strict";
import { run } from "../helpers/child.ts";
import { type FastdfsStack, startFastdfs } from "../helpers/fastdfs_stack.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";

const CLIENTS = ["fdfs", "fastdfs-client", "fdfs-client"] as const;
/** Calls append and modify of any storage, and reads lists. */
const NEWER: ReadonlySet<string> = new Set(["fdfs", "fastdfs-client"]);
const FILE_ID = /^group1\/M00\/\w\w\/\w\w\/[\w-]{27}\d+(\.\w+)?$/;

const isOffline = Deno.env.get("KEDGE_NO_NPM") === "1";
if (isOffline) say("fastdfs_npm_test: skipped, KEDGE_NO_NPM is set");

type Step = { readonly value?: unknown; readonly error?: string };
type Session = Readonly<Record<string, Step>>;

Deno.test({
  name: "fastdfs: clients from npm do everything they know",
  ignore: isOffline,
  async fn(test) {
    await using scope = new Scope();
    const dir = await install(scope);
    const stack = await startFastdfs(scope, {
      env: { KEDGE_FASTDFS_LISTS: "5" },
    });
    for (const client of CLIENTS) {
      await test.step(client, async () => {
        const session = await play(client, dir, stack);
        expectFiles(session);
        expectMetadata(session, stack);
        if (!NEWER.has(client)) return;
        expectAppender(session);
        expectLists(session, stack);
      });
    }
  },
});

/** The packages, in a folder that goes with the test. */
async function install(scope: Scope): Promise<string> {
  const dir = await scope.tempDir();
  const from = `${ROOT}tests/interop/fastdfs_clients`;
  // Under its real name it would look like a member of our workspace.
  await Deno.copyFile(`${from}/packages.json`, `${dir}/package.json`);
  await Deno.copyFile(`${from}/session.mjs`, `${dir}/session.mjs`);
  const done = await run([
    "timeout",
    ...["120", Deno.execPath(), "install", "--quiet"],
    "--node-modules-dir=auto",
  ], { cwd: dir });
  assert.equal(done.code, 0, `npm packages: ${done.stderr}`);
  return dir;
}

async function play(
  client: string,
  cwd: string,
  { host }: FastdfsStack,
): Promise<Session> {
  const { code, stdout, stderr } = await run([
    "timeout",
    ...["60", Deno.execPath(), "run", "-A", "--quiet"],
    ...["session.mjs", client, host, "22122", "group1"],
  ], { cwd });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

function expectFiles(session: Session): void {
  for (const step of ["upload", "uploadPath", "uploadGroup", "uploadLarge"]) {
    assert.match(String(session[step]?.value), FILE_ID, step);
  }
  assert.match(String(session["uploadPath"]?.value), /\.md$/);
  assert.equal(session["download"]?.value, "hello FastDFS\n");
  assert.equal(session["range"]?.value, "Fast");
  assert.equal(session["downloadLarge"]?.value, 3_000_000);
  assert.equal(session["delete"]?.error, undefined);
  assert.match(String(session["downloadDeleted"]?.error), /errno is: 2/);
  assert.match(String(session["deleteAgain"]?.error), /errno is: 2/);
}

function expectMetadata(session: Session, stack: FastdfsStack): void {
  assert.deepEqual(session["getMeta"]?.value, { a: "1", b: "2" });
  assert.deepEqual(session["getMerged"]?.value, { a: "1", b: "3" });
  const info = session["info"]?.value as Record<string, unknown>;
  assert.equal(Number(info["size"]), 14);
  const sources = [stack.storage(1), stack.storage(2)];
  assert(sources.includes(String(info["addr"])), String(info["addr"]));
}

function expectAppender(session: Session): void {
  for (const step of ["append1", "append2", "modify"]) {
    assert.equal(session[step]?.error, undefined, step);
  }
  assert.equal(session["downloadAppender"]?.value, "ONE two three");
}

function expectLists(session: Session, stack: FastdfsStack): void {
  const { groups } = session["listGroups"]?.value as {
    groups: Record<string, unknown>[];
  };
  assert.equal(groups.length, 1);
  const [group = {}] = groups;
  assert.equal(group["groupName"], "group1");
  assert.equal(group["storageCount"], 2);
  assert.equal(group["activeCount"], 2);
  assert.equal(group["storagePort"], 23_000);
  const { storages } = session["listStorages"]?.value as {
    storages: Record<string, unknown>[];
  };
  assert.equal(storages.length, 2);
  const [first = {}] = storages;
  assert.equal(first["ipAddr"], stack.storage(1));
  assert.equal(first["status"], 7);
  assert.equal(first["storagePort"], 23_000);
}
