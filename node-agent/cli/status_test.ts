import assert from "node:assert/strict";
import { clusterWith, kedge } from "./testdata/cluster_run.ts";
import { FakeCluster, groupView, nodeView } from "./testdata/fake_cluster.ts";

Deno.test("kedge status says that all is well and exits 0", async () => {
  const { code, out } = await kedge(new FakeCluster(), ["status"]);
  assert.equal(code, 0);
  assert.match(out, /^All is well: 2 nodes in 1 group, all in sync$/m);
  assert.match(out, /^ +1 +group1 +in sync +now +- +12 +4 GB +10 GB/m);
});

Deno.test("kedge status names what is not well and exits 1", async () => {
  const table: [Partial<ReturnType<typeof nodeView>>, RegExp][] = [
    [{ alive: false, silentMs: 9000 }, /NOT WELL: 1 node down[^]*DOWN +9 s/],
    [
      { insync: false, lagChanges: 40 },
      /1 node catching up[^]*catching up +now +40/,
    ],
    [{ mode: "draining" }, /NOT WELL: node 2 is draining/],
    [
      {
        report: {
          ...(nodeView(2).report ?? assert.fail()),
          alarms: ["store path M01 is fenced\u001b[2J"],
        },
      },
      /1 alarm[^]*node 2: store path M01 is fenced\?\[2J/,
    ],
    [
      {
        report: {
          ...(nodeView(2).report ?? assert.fail()),
          storePaths: [{
            index: 1,
            totalBytes: 1,
            freeBytes: 0,
            state: "fenced",
            reason: "EIO",
          }],
        },
      },
      /disk fault[^]*store path M01 is fenced: EIO/,
    ],
  ];
  table.push([
    { agreement: "differs" },
    /members differ[^]*0badcafe DIFFERS[^]*node 2: its files differ/,
  ]);
  for (const [change, text] of table) {
    const { code, out } = await kedge(clusterWith(change), ["status"]);
    assert.equal(code, 1, JSON.stringify(change));
    assert.match(out, text);
  }
});

Deno.test("kedge status shows the hash of all files, and how replication goes", async () => {
  const { out } = await kedge(new FakeCluster(), ["status"]);
  assert.match(out, /^group1 .* 0badcafe$/m);
  assert.match(out, /^ +1 .* 0badcafe +http/m);

  const report = nodeView(2).report ?? assert.fail();
  const replication = {
    peers: [{
      node: 1,
      linked: true,
      lagChanges: 3,
      underWayBytes: 2048,
      waitingBytes: 0,
    }],
    catchUp: {
      donor: 1,
      bucketsTotal: 200,
      bucketsDone: 50,
      takenFiles: 12,
      takenBytes: 3 << 20,
      givenFiles: 0,
      bytesPerS: 1 << 20,
      etaS: 9,
    },
    appliedPerS: 4.5,
    tombstones: { count: 7, forgotten: 0, blocked: "node 3 is away" },
    pending: 0,
  };
  const behind = await kedge(
    clusterWith({
      agreement: "behind",
      lagChanges: 90,
      lagEtaS: 20,
      report: { ...report, replication },
    }),
    ["status"],
  );
  assert.equal(behind.code, 0, "a lag is no fault");
  for (
    const line of [
      "node 2: 90 changes behind, 4.5/s, ETA 0:20",
      "node 2: compares with node 1: 25 % of the differences, " +
      "12 files (3 MB) taken, 1 MB/s, ETA 0:09",
      "node 2: sends 3 changes to node 1, 2 KB under way",
      "node 2: remembers 7 deleted files: node 3 is away",
    ]
  ) assert(behind.out.includes(line), `${line}\n${behind.out}`);
  assert.match(behind.out, /^group1 .* not quiet$/m);
});

Deno.test("kedge status says how to part with a node that is gone for good", async () => {
  const { out } = await kedge(
    clusterWith({ alive: false, silentMs: 9000, agreement: "unknown" }),
    ["status"],
  );
  assert.match(out, /node 2: does not report; start its agent/);
  assert.match(out, /gone for good\? kedge node remove 2$/m);
  assert.match(out, /^group1 .* 0badcafe on 1\/2$/m);
});

Deno.test("kedge status tells of a broken disk once, and what to do", async () => {
  const report = nodeView(2).report ?? assert.fail();
  const line = "store path M1F is missing: its marker file is gone";
  const storePaths = [{
    index: 31,
    totalBytes: 1,
    freeBytes: 0,
    state: "missing" as const,
    reason: "its marker file is gone",
  }];
  const { out } = await kedge(
    clusterWith({
      insync: false,
      report: { ...report, storePaths, alarms: [line, "something else"] },
    }),
    ["status"],
  );
  assert.equal(out.split(line).length, 2, out);
  assert.match(out, /kedge node open-path 2 M1F$/m);
  assert.match(out, /node 2: something else/);
  assert.match(out, /disk fault/);
});

Deno.test("kedge node open-path opens a path and says what comes back", async () => {
  const cluster = new FakeCluster();
  const asked: string[] = [];
  cluster.intercept = ({ method, path }) => {
    if (!path.includes("/paths/")) return;
    asked.push(`${method} ${path}`);
    return Response.json({
      index: 31,
      refillFiles: asked.length === 1 ? 7 : 0,
    });
  };
  const first = await kedge(cluster, ["node", "open-path", "2", "M1F"]);
  assert.match(first.out, /store path M1F is in use; 7 files come from/);
  const second = await kedge(cluster, ["node", "open-path", "2", "m1f"]);
  assert.match(second.out, /store path M1F takes bytes again/);
  assert.deepEqual(asked, Array(2).fill("POST /v1/nodes/2/paths/31/open"));
  for (const word of ["31", "MXX", "M100"]) {
    const { code } = await kedge(cluster, ["node", "open-path", "2", word]);
    assert.equal(code, 2, word);
  }
});

Deno.test("kedge status --json has the whole truth", async () => {
  const { code, out } = await kedge(new FakeCluster(), ["status", "--json"]);
  const { healthy, groups } = JSON.parse(out);
  assert.equal(code, 0);
  assert.equal(healthy, true);
  assert.deepEqual(groups, [groupView()]);
});

Deno.test("kedge status of an empty cluster says how to begin", async () => {
  const cluster = new FakeCluster();
  cluster.groups = [];
  const { code, out } = await kedge(cluster, ["status"]);
  assert.equal(code, 1);
  assert.match(out, /kedge token create/);
});

Deno.test("kedge status says what is packed where a group says so", async () => {
  const cluster = new FakeCluster();
  assert.doesNotMatch((await kedge(cluster, ["status"])).out, /PACKS TO/);
  const [group] = cluster.groups;
  assert(group !== undefined);
  for (
    const [smallFileMax, shown] of [[16384, "16 KB"], [0, "off"]] as const
  ) {
    cluster.groups = [{ ...group, smallFileMax }];
    const { out } = await kedge(cluster, ["status"]);
    const row = out.split("\n").find((line) => line.startsWith("group1"));
    assert(out.includes("PACKS TO") && row?.includes(shown), out);
  }
});
