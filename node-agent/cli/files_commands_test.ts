/** Commands about files that are there, against a fake cluster. */
import assert from "node:assert/strict";
import { problem, TRACKER } from "./testdata/fake_cluster.ts";
import { ID, scene, write } from "./testdata/files_scene.ts";

Deno.test("kedge info of a file that does not exist exits 5", () =>
  scene(async ({ kedge }) => {
    const { code, err } = await kedge(["info", ID]);
    assert.equal(code, 5);
    assert.match(err, /no such file/);
  }));

Deno.test("kedge info shows name and metadata without control characters", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "x", "evil\u001b[2J.txt");
    const { out } = await kedge(["info", ID]);
    assert.match(out, /^name +evil\?\[2J\.txt$/m);
    assert.equal(JSON.parse((await kedge(["info", "--json", ID])).out).size, 1);
  }));

Deno.test("kedge delete deletes, and exits 3 when some are missing", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "x");
    const { code, out } = await kedge(["delete", ID, "group1/M00/00/00/no"]);
    assert.equal(code, 3);
    assert.match(out, /deleted/);
    assert.equal(cluster.files.size, 0);
  }));

Deno.test("kedge append asks where first, then sends the bytes there", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "one,");
    const path = await write(dir, "more", "two");
    const { code, err } = await kedge(["append", ID, path]);
    assert.equal(code, 0, err);
    assert.equal(
      new TextDecoder().decode(cluster.files.get(ID)?.bytes),
      "one,two",
    );
    const [asked] = cluster.arrived;
    assert.equal(asked?.host, "tracker.test:8080");
    assert.equal(asked?.body.length, 0, "the tracker gets no content");
  }));

Deno.test("kedge truncate without a size changes nothing and says what to type", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "log");
    const { code, err } = await kedge(["truncate", ID]);
    assert.equal(code, 2);
    assert.match(err, /Missing --size: .*--size 0 to keep none/);
    assert.deepEqual(cluster.arrived, []);
    await kedge(["truncate", ID, "--size", "0"]);
    assert.notDeepEqual(cluster.arrived, []);
  }));

Deno.test("kedge append is sent again under one key, a pipe is not", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "one,");
    let fails = 2;
    cluster.intercept = ({ method, host }) => {
      if (method !== "POST" || host !== "node-1.test" || fails-- <= 0) return;
      if (fails === 1) throw new TypeError("connection reset");
      return problem(503, "uncertain", "it may or may not be done");
    };
    const path = await write(dir, "more", "two");
    const { code, err } = await kedge(["append", ID, path]);
    assert.equal(code, 0, err);
    const keys = cluster.arrived
      .filter(({ method, host }) => method === "POST" && host === "node-1.test")
      .map(({ headers }) => headers.get("idempotency-key"));
    assert.equal(keys.length, 3);
    assert(keys[0] !== null && new Set(keys).size === 1);

    fails = 1;
    const piped = await kedge(["append", ID, "-"], { stdin: "x" });
    assert.equal(piped.code, 1);
    assert.match(piped.err, /may or may not be done/);
  }));

Deno.test("kedge meta gets, sets and merges", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "x");
    await kedge(["meta", "set", ID, "a=1", "b=2"]);
    const merged = await kedge(["meta", "merge", ID, "b=3"]);
    assert.equal(merged.out, "a=1\nb=3\n");
    const got = await kedge(["meta", "get", "--json", ID]);
    assert.deepEqual(JSON.parse(got.out), { a: "1", b: "3" });
    assert.equal((await kedge(["meta", "drop", ID])).code, 2);
  }));

Deno.test("kedge list asks an in-sync node through the tracker", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "x", "photo.jpg");
    const { code, out } = await kedge(["list", "--prefix", "group1/"]);
    assert.equal(code, 0);
    assert.match(out, /group1\/M00\/00\/00\/photo\.jpg +1 B .*photo\.jpg/);
    const [asked] = cluster.seen("GET", "/v1/nodes/1/files");
    assert.match(asked?.path ?? "", /prefix=group1%2F/);
  }));

Deno.test("a tracker that does not answer exits 4 and says what to do", () =>
  scene(async ({ kedge }) => {
    const { code, err } = await kedge(["info", ID], {
      fetch: () => Promise.reject(new TypeError("connection refused")),
    });
    assert.equal(code, 4);
    assert.match(
      err,
      /No answer from tracker\.test:8080: connection refused[^]*kedge start/,
    );
  }));

Deno.test("the second tracker is asked when the first is away", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "x");
    const { code } = await kedge(["info", ID], {
      env: { KEDGE_TRACKER: `http://away.test,${TRACKER}` },
      fetch: (input, init) =>
        String(input).startsWith("http://away.test")
          ? Promise.reject(new TypeError("connection refused"))
          : cluster.fetch(input, init),
    });
    assert.equal(code, 0);
  }));
