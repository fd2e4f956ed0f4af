import assert from "node:assert/strict";
import type { MigrationView } from "@kedge/schema/migration";
import { FakeCluster, TRACKER } from "./testdata/fake_cluster.ts";
import { run } from "./testdata/fake_context.ts";
import { migrationLine, noted } from "./text/migration_text.ts";

const VIEW: MigrationView = {
  request: {
    kind: "import",
    base: "/data/fdfs",
    group: null,
    storePaths: [],
    mode: "link",
    dryRun: false,
    followDeletes: false,
    bytesPerS: 0,
  },
  group: "group1",
  state: "done",
  phase: "ending",
  why: null,
  elapsedMs: 61_000,
  filesTotal: 12,
  bytesTotal: 1000,
  filesDone: 12,
  bytesDone: 1000,
  done: { normal: 7, appender: 1, derived: 0, packed: 2, duplicate: 0 },
  replaced: 1,
  withMeta: 3,
  known: 1,
  copied: 2,
  copiedWhy: "another file system",
  damaged: 0,
  skipped: 1,
  deleted: 0,
  reasons: { "deleted": 1 },
  problems: [{
    kind: "skipped",
    reason: "deleted",
    name: "group1/M00/00/00/x\u001b[2J",
    detail: "it was deleted here",
  }],
  report: "/var/lib/kedge/migration/import.jsonl",
};

const PATH = "/v1/nodes/1/migration";

/** A cluster whose node gives these answers in turn. */
function clusterWith(...views: (MigrationView | null)[]) {
  const cluster = new FakeCluster();
  cluster.intercept = ({ method, path }) => {
    if (!path.startsWith(PATH)) return undefined;
    if (method !== "GET") return Response.json(VIEW, { status: 202 });
    return Response.json(views.length > 1 ? views.shift() : views[0]);
  };
  const kedge = (...argv: string[]) =>
    run(argv, { fetch: cluster.fetch, env: { KEDGE_TRACKER: TRACKER } });
  return { cluster, kedge };
}

const IMPORT = ["import", "fastdfs", "--base", "/data/fdfs", "--node", "1"];

Deno.test("kedge import asks the node, waits, and says what became of it", async () => {
  const running = { ...VIEW, state: "running" } as const;
  const { cluster, kedge } = clusterWith(running, running, VIEW);
  const { code, out } = await kedge(...IMPORT, "--link", "--group", "group1");
  assert.equal(code, 0);
  const [asked] = cluster.seen("POST", PATH);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(asked?.body)), {
    kind: "import",
    base: "/data/fdfs",
    group: "group1",
    storePaths: [],
    mode: "link",
    dryRun: false,
    followDeletes: false,
    bytesPerS: 0,
  });
  assert.equal(cluster.seen("GET", PATH).length, 4);
  assert.match(out, /^It is done; IDs begin with group1\/$/m);
  assert.match(out, /^imported +10 +\(7 normal, 1 appender, 2 packed\)$/m);
  assert.match(out, /^ +1 +deleted$/m);
  assert.match(out, /copied +2 +\(another file system\)/);
  assert.match(out, /x\?\[2J: it was deleted here/);
});

Deno.test("kedge import exits 3 for damage and 1 when it broke off", async () => {
  const table = [
    [{ damaged: 1 }, 3],
    [{ state: "failed", why: "the disk is full" }, 1],
    [{ state: "stopped" }, 1],
  ] as const;
  for (const [change, wanted] of table) {
    const { kedge } = clusterWith({ ...VIEW, ...change });
    const { code, out, err } = await kedge(...IMPORT);
    assert.equal(code, wanted, JSON.stringify(change));
    if (wanted === 1) assert.match(err, /give the same command again/);
    if ("why" in change) assert.match(out, /the disk is full/);
  }
});

Deno.test("kedge import keeps the report and prints JSON", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { kedge } = clusterWith(VIEW);
    const report = `${dir}/report.jsonl`;
    const words = ["status", "--node", "1", "--json", "--report", report];
    const { code, out } = await kedge("import", ...words);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out), { node: 1, ...VIEW });
    const [line = ""] = (await Deno.readTextFile(report)).split("\n");
    assert.deepEqual(JSON.parse(line), VIEW.problems[0]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("kedge import status after a restart says what to do", async () => {
  const { cluster, kedge } = clusterWith(null);
  const { code, err } = await kedge("import", "status", "--node", "1");
  assert.equal(code, 5);
  assert.match(err, /give the same command again/);
  await kedge("import", "stop", "--node", "1");
  assert.equal(cluster.seen("DELETE", PATH).length, 1);
});

Deno.test("kedge import and export refuse what cannot be meant", async () => {
  const table: [string[], RegExp][] = [
    [["import"], /Say what to import/],
    [["import", "seaweed"], /Say what to import/],
    [["import", "fastdfs"], /Say where the storage is: --base/],
    [[...IMPORT, "--copy", "--link"], /Only one of/],
    [[...IMPORT, "--rate-limit", "fast"], /--rate-limit must be/],
    [["import", "fastdfs", "--base", "/x"], /--node .*one of 1, 2/],
    [["export"], /Say what to write/],
    [["export", "fastdfs"], /--to DIR/],
  ];
  for (const [words, wanted] of table) {
    const { kedge, cluster } = clusterWith(VIEW);
    const { code, err } = await kedge(...words);
    assert.equal(code, 2, words.join(" "));
    assert.match(err, wanted);
    assert.equal(cluster.seen("POST", PATH).length, 0);
  }
});

Deno.test("one line while it runs: how far, how fast, how long", () => {
  const at = (bytesDone: number): MigrationView => ({
    ...VIEW,
    state: "running",
    phase: "files",
    filesDone: 3,
    bytesTotal: 100 * 1024,
    bytesDone,
    damaged: 1,
  });
  const begun = noted(undefined, at(0), 0);
  assert.equal(
    migrationLine(at(0), begun),
    "files: 3/12  0 B of 100 KB  ETA -:--  1 damaged  1 skipped",
  );
  const later = noted(begun, at(20 * 1024), 2000);
  assert.equal(
    migrationLine(at(20 * 1024), later),
    "files: 3/12  20 KB of 100 KB  10 KB/s  ETA 0:08  1 damaged  1 skipped",
  );
  const counting = { ...at(0), phase: "counting" } as const;
  assert.equal(migrationLine(counting, later), "counting: 12 files, 100 KB");
});

Deno.test("kedge import says what comes next", async () => {
  const { request } = VIEW;
  const good = { ...VIEW, skipped: 0 };
  assert(request.kind === "import");
  const dry = { ...request, dryRun: true };
  const exported = { kind: "export", to: "/back", bytesPerS: 0 } as const;
  const table = [
    [good, /^next: send clients to Kedge; .*same command again/m],
    [{ ...good, request: dry }, /^next: the same command without --dry-run$/m],
    [{ ...good, request: exported }, /^next: sync; .*base_path\) \/back$/m],
    [VIEW, /^next: see what is named .*import status --node 1 --report FILE/m],
  ] as const;
  for (const [view, wanted] of table) {
    const { err } = await clusterWith(view).kedge(...IMPORT);
    assert.match(err, wanted);
  }
});

Deno.test("kedge import status finds the run by itself", async () => {
  const cluster = new FakeCluster();
  const views = new Map<string, MigrationView | null>([
    ["1", VIEW],
    ["2", { ...VIEW, state: "running" }],
  ]);
  cluster.intercept = ({ path }) => {
    const [, node] = /^\/v1\/nodes\/(\d+)\/migration/.exec(path) ?? [];
    if (node === undefined) return undefined;
    return Response.json(views.get(node) ?? null);
  };
  const env = { KEDGE_TRACKER: TRACKER };
  const status = () =>
    run(["import", "status", "--json"], { fetch: cluster.fetch, env });
  assert.equal(JSON.parse((await status()).out).node, 2, "the one that runs");
  views.set("2", VIEW);
  const several = await status();
  assert.equal(several.code, 2);
  assert.match(several.err, /Several nodes have one.*--node which: 1, 2/);
  views.set("1", null);
  assert.equal(JSON.parse((await status()).out).node, 2, "the only one");
});
