import assert from "node:assert/strict";
import { join } from "node:path";
import { clusterWith, kedge } from "./testdata/cluster_run.ts";
import { FakeCluster, problem, TRACKER } from "./testdata/fake_cluster.ts";
import { run } from "./testdata/fake_context.ts";

Deno.test("kedge nodes and kedge groups print tables", async () => {
  const nodes = await kedge(new FakeCluster(), ["nodes"]);
  assert.equal(nodes.out.trim().split("\n").length, 3);
  const groups = await kedge(new FakeCluster(), ["groups"]);
  assert.match(groups.out, /group1 +ok +B +2 +2 +3/);
});

Deno.test("kedge monitor draws again and survives a silent tracker", async () => {
  const cluster = new FakeCluster();
  let looks = 0;
  cluster.intercept = () =>
    ++looks === 2 ? problem(503, "kv-unavailable", "no KV") : undefined;
  const { code, out } = await kedge(cluster, ["monitor", "--count", "3"]);
  assert.equal(code, 0);
  assert.equal(out.match(/All is well/g)?.length, 2);
  assert.match(out, /NO ANSWER: no KV/);
});

Deno.test("kedge drain and undrain set the mode", async () => {
  const cluster = new FakeCluster();
  assert.equal((await kedge(cluster, ["drain", "node-2"])).code, 0);
  assert.equal((await kedge(cluster, ["undrain", "2"])).code, 0);
  const bodies = cluster.seen("POST", "/v1/nodes/2/mode")
    .map(({ body }) => JSON.parse(new TextDecoder().decode(body)).mode);
  assert.deepEqual(bodies, ["draining", "active"]);
  assert.equal((await kedge(cluster, ["drain", "two"])).code, 2);
});

Deno.test("kedge node remove refuses a node that takes uploads", async () => {
  const busy = new FakeCluster();
  const refused = await kedge(busy, ["node", "remove", "2"]);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /next: kedge drain 2/);
  assert.equal(busy.seen("DELETE", "/v1/nodes/2").length, 0);

  const drained = clusterWith({ mode: "draining" });
  assert.equal((await kedge(drained, ["node", "remove", "2"])).code, 0);
  assert.equal(drained.seen("DELETE", "/v1/nodes/2").length, 1);
  assert.equal((await kedge(busy, ["node", "remove", "9"])).code, 5);
});

Deno.test("kedge node remove and drain pass on the consent to losing data", async () => {
  const consent = "--accept-data-loss";
  const cluster = clusterWith({ mode: "draining" });
  assert.equal((await kedge(cluster, ["node", "remove", "2"])).code, 0);
  assert.equal((await kedge(cluster, ["drain", "2"])).code, 0);
  await kedge(cluster, ["node", "remove", "2", consent]);
  await kedge(cluster, ["drain", "2", consent]);
  const asked = cluster.arrived.filter(({ method }) => method !== "GET")
    .map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(asked, [
    "DELETE /v1/nodes/2",
    "POST /v1/nodes/2/mode",
    "DELETE /v1/nodes/2?force=1",
    "POST /v1/nodes/2/mode?force=1",
  ]);
});

Deno.test("kedge group force needs consent to losing data", async () => {
  const cluster = new FakeCluster();
  const refused = await kedge(cluster, ["group", "force", "group1", "2"]);
  assert.equal(refused.code, 2);
  assert.match(refused.err, /--accept-data-loss/);
  assert.equal(cluster.arrived.length, 0);
  const argv = ["group", "force", "group1", "2", "--accept-data-loss"];
  assert.equal((await kedge(cluster, argv)).code, 0);
  assert.equal(cluster.seen("POST", "/v1/groups/group1/force").length, 1);
});

Deno.test("kedge group create sends settings in bytes", async () => {
  const cluster = new FakeCluster();
  await kedge(cluster, [
    ...["group", "create", "photos", "--level", "C"],
    ...["--max-file-size", "2GB"],
  ]);
  const [request] = cluster.seen("POST", "/v1/groups");
  assert.deepEqual(JSON.parse(new TextDecoder().decode(request?.body)), {
    name: "photos",
    settings: { level: "C", fileBytesMax: 2 * 1024 ** 3 },
  });
});

Deno.test("kedge group set says what is packed", async () => {
  const cases: [string, unknown][] = [
    ["16KB", 16384],
    ["0", 0],
    ["own", null],
  ];
  for (const [word, smallFileMax] of cases) {
    const cluster = new FakeCluster();
    const argv = ["group", "set", "photos", "--small-file-max", word];
    assert.equal((await kedge(cluster, argv)).code, 0, word);
    const [request] = cluster.seen("PATCH", "/v1/groups/photos");
    const body = JSON.parse(new TextDecoder().decode(request?.body));
    assert.deepEqual(body, { smallFileMax });
  }
  for (const word of ["65KB", "many", "-1"]) {
    const cluster = new FakeCluster();
    const argv = ["group", "set", "photos", `--small-file-max=${word}`];
    const { code, err } = await kedge(cluster, argv);
    assert.equal(code, 2, word);
    assert.match(err, /--small-file-max must be/);
    assert.equal(cluster.arrived.length, 0);
  }
});

Deno.test("kedge token create prints the secret alone on standard output", async () => {
  const cluster = new FakeCluster();
  cluster.intercept = ({ path }) =>
    path === "/v1/tokens"
      ? Response.json({
        kind: "join",
        token: "kj_secret",
        hash: "ab".repeat(32),
        expires: "2026-11-23T00:00:00Z",
      })
      : undefined;
  const { code, out, err } = await kedge(cluster, [
    "token",
    "create",
    "--expires",
    "1h",
  ]);
  assert.equal(code, 0);
  assert.equal(out, "kj_secret\n");
  assert.match(err, /revoke: kedge token revoke/);
  const [request] = cluster.arrived;
  assert.deepEqual(JSON.parse(new TextDecoder().decode(request?.body)), {
    kind: "join",
    expiresS: 3600,
  });
  assert.equal((await kedge(cluster, ["token", "create", "--api"])).code, 2);
});

Deno.test("kedge token revoke takes the beginning of one hash only", async () => {
  const cluster = new FakeCluster();
  const hashes = ["aa11", "aa22", "bb33"].map((head) => head.padEnd(64, "0"));
  cluster.intercept = ({ path, method }) =>
    path === "/v1/tokens" && method === "GET"
      ? Response.json({
        tokens: hashes.map((hash) => ({
          kind: "join",
          hash,
          name: null,
          role: null,
          group: "group1",
          created: "2026-11-22T00:00:00Z",
          expires: null,
          usedBy: null,
        })),
      })
      : undefined;
  assert.equal((await kedge(cluster, ["token", "revoke", "bb"])).code, 0);
  assert.equal(cluster.seen("DELETE", `/v1/tokens/${hashes[2]}`).length, 1);
  assert.equal((await kedge(cluster, ["token", "revoke", "aa"])).code, 2);
  assert.equal((await kedge(cluster, ["token", "revoke", "cc"])).code, 5);
});

Deno.test("kedge scrub waits for the end and exits 1 when damage is left", async () => {
  for (const [damaged, wanted] of [[0, 0], [2, 1]] as const) {
    const cluster = new FakeCluster();
    let looks = 0;
    cluster.intercept = ({ method, host, path }) => {
      if (host !== "node-1.test" || !path.startsWith("/v1/node/scrub")) return;
      if (method === "POST") return Response.json({}, { status: 202 });
      const progress = {
        checkedBytes: 10,
        totalBytes: 20,
        repaired: 1,
        damaged,
        etaS: 3,
      };
      return Response.json({ ...progress, running: ++looks < 3 });
    };
    const { code, out } = await kedge(cluster, ["scrub", "1"]);
    assert.equal(code, wanted);
    assert.match(out, new RegExp(`node 1: 1 repaired, ${damaged} damaged`));
    assert.equal(looks, 3);
  }
});

Deno.test("kedge bench measures and cleans up", async () => {
  const cluster = new FakeCluster();
  const { code, out, err } = await kedge(cluster, [
    ...["bench", "--size", "1KB", "-j", "2", "--duration", "200ms", "--json"],
  ]);
  assert.equal(code, 0, err);
  const { results } = JSON.parse(out);
  assert.deepEqual(results.map((row: { name: string }) => row.name), [
    "upload",
    "download",
    "delete",
  ]);
  assert(results[0].count > 1);
  assert.equal(cluster.files.size, 0);
});

Deno.test("a refused key exits 6", async () => {
  const cluster = new FakeCluster();
  cluster.intercept = () => problem(401, "unauthorized", "no key");
  assert.equal((await kedge(cluster, ["nodes"])).code, 6);
});

Deno.test("tracker and key are found in a data directory beside us", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-cli-" });
  try {
    await Deno.writeTextFile(
      join(dir, "cluster.json"),
      JSON.stringify({ tracker: TRACKER, tls: false }),
    );
    await Deno.writeTextFile(join(dir, "admin.key"), "found\n");
    const cluster = new FakeCluster();
    const world = { fetch: cluster.fetch, env: { KEDGE_DATA: dir } };
    assert.equal((await run(["nodes"], world)).code, 0);
    assert.equal(
      cluster.arrived[0]?.headers.get("authorization"),
      "Bearer found",
    );
    // The key is that of this tracker: another one must not get it.
    const strangers: (string | null)[] = [];
    await run(["nodes", "--tracker", "http://stranger.test"], {
      ...world,
      fetch: (_input, init) => {
        strangers.push(new Headers(init?.headers).get("authorization"));
        return Promise.resolve(Response.json({ groups: [] }));
      },
    });
    assert.deepEqual(strangers, [null]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
