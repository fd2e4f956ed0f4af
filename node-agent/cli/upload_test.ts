/** `kedge upload` against a fake cluster. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { problem } from "./testdata/fake_cluster.ts";
import { ID, scene, write } from "./testdata/files_scene.ts";

Deno.test("kedge upload prints the ID and the name", () =>
  scene(async ({ cluster, dir, kedge }) => {
    const path = await write(dir, "a b.txt", "hello");
    const { code, out, err } = await kedge(["upload", path]);
    assert.equal(code, 0, err);
    assert.equal(out, `group1/M00/00/00/file1.bin\t${path}\n`);
    const [put] = cluster.seen("PUT", "/v1/files/a%20b.txt?cap=CAP");
    assert(put !== undefined, "the original name is in the path");
    assert.equal(new TextDecoder().decode(put.body), "hello");
  }));

Deno.test("kedge upload sends the API key to the tracker only", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "x");
    await kedge(["upload", await write(dir, "a", "x")]);
    await kedge(["info", ID]);
    await kedge(["delete", ID]);
    for (const { host, headers } of cluster.arrived) {
      const key = headers.get("authorization");
      assert.equal(key, host === "tracker.test:8080" ? "Bearer secret" : null);
    }
    assert(cluster.arrived.some(({ host }) => host === "node-1.test"));
  }));

Deno.test("kedge upload places once for many small files", () =>
  scene(async ({ cluster, dir, kedge }) => {
    const paths: string[] = [];
    for (let i = 0; i < 20; i++) paths.push(await write(dir, `f${i}`, `${i}`));
    for (const [at, jobs] of ["1", "8"].entries()) {
      const { code, out } = await kedge(["upload", "-j", jobs, ...paths]);
      assert.equal(code, 0);
      assert.equal(out.trim().split("\n").length, 20);
      assert.equal(cluster.seen("POST", "/v1/uploads").length, at + 1);
    }
  }));

Deno.test("kedge upload tries again with the same Idempotency-Key", () =>
  scene(async ({ cluster, dir, kedge }) => {
    let fails = 3;
    cluster.intercept = ({ method, host }) => {
      if (method !== "PUT" || host !== "node-1.test" || fails-- <= 0) return;
      if (fails === 2) throw new TypeError("connection reset");
      return problem(503, "uncertain", "the file may or may not exist");
    };
    const path = await write(dir, "a", "x");
    const { code, out, err } = await kedge(["upload", path]);
    assert.equal(code, 0, err);
    assert.equal(out.trim().split("\n").length, 1);
    const keys = cluster.seen("PUT", "/v1/files")
      .map(({ headers }) => headers.get("idempotency-key"));
    assert.equal(keys.length, 4);
    assert.equal(new Set(keys).size, 1);
    assert.match(
      err,
      /no answer from node-1\.test: connection reset; trying again/,
    );
  }));

Deno.test("kedge upload never prints a capability", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.intercept = ({ host, path }) => {
      if (host !== "node-1.test") return;
      throw new TypeError(
        `error sending request for url (http://${host}${path})`,
      );
    };
    const path = await write(dir, "a", "x");
    const { code, err } = await kedge(["upload", path]);
    assert.equal(code, 4);
    assert(!err.includes("CAP"), err);
  }));

Deno.test("kedge upload gives up at once when trying again cannot help", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.intercept = ({ method }) =>
      method === "PUT" ? problem(413, "too-large", "too large") : undefined;
    const { code, err } = await kedge(["upload", await write(dir, "a", "x")]);
    assert.equal(code, 1);
    assert.match(err, /too large[^]*next: do something else/);
    assert.equal(cluster.seen("PUT", "/v1/files").length, 1);
  }));

Deno.test("kedge upload names each file that failed and exits 3", () =>
  scene(async ({ dir, kedge }) => {
    const good = await write(dir, "good", "x");
    const { code, out, err } = await kedge(["upload", good, join(dir, "gone")]);
    assert.equal(code, 3);
    assert.match(out, /good$/m);
    assert.match(err, /Cannot read "[^"]*gone"/);
  }));

Deno.test("kedge upload notices when the node stored other bytes", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.intercept = ({ method }) =>
      method === "PUT"
        ? Response.json({
          id: "group1/M00/00/00/x",
          url: "http://node-1.test/x",
          size: 1,
          sha256: "00".repeat(32),
          level: "B",
          holders: [1],
        }, { status: 201 })
        : undefined;
    const { code, err } = await kedge(["upload", await write(dir, "a", "x")]);
    assert.equal(code, 1);
    assert.match(err, /stored other bytes/);
  }));

Deno.test("kedge upload - reads standard input", () =>
  scene(async ({ cluster, kedge }) => {
    const argv = ["upload", "--json", "--name", "pipe.txt", "-"];
    const { code, out } = await kedge(argv, { stdin: "from a pipe" });
    assert.equal(code, 0);
    const { id, file } = JSON.parse(out);
    assert.equal(file, "-");
    const stored = cluster.files.get(id);
    assert.equal(new TextDecoder().decode(stored?.bytes), "from a pipe");
    assert.equal(stored?.name, "pipe.txt");
  }));

Deno.test("kedge upload --idempotent uses a key made from name and content", () =>
  scene(async ({ cluster, dir, kedge }) => {
    const path = await write(dir, "a", "x");
    const first = await kedge(["upload", "--idempotent", path]);
    const second = await kedge(["upload", "--idempotent", path]);
    assert.equal(first.out, second.out);
    assert.equal(cluster.files.size, 1);
    await Deno.writeTextFile(path, "y");
    const third = await kedge(["upload", "--idempotent", path]);
    assert.notEqual(third.out, first.out);
  }));

Deno.test("kedge upload --meta puts ASCII into headers, the rest into a merge", () =>
  scene(async ({ cluster, dir, kedge }) => {
    const path = await write(dir, "a", "x");
    const { code, out } = await kedge([
      ...["upload", "--meta", "width=640", "--meta", "author=Änn", path],
    ]);
    assert.equal(code, 0);
    const id = out.split("\t")[0] ?? "";
    assert.deepEqual(cluster.files.get(id)?.meta, {
      width: "640",
      author: "Änn",
    });
  }));

Deno.test("Ctrl-C ends an upload with exit code 130", () =>
  scene(async ({ cluster, dir, kedge }) => {
    const stop = new AbortController();
    cluster.intercept = ({ method }) => {
      if (method === "PUT") stop.abort(new DOMException("stop", "AbortError"));
      return method === "PUT" ? problem(503, "uncertain", "x") : undefined;
    };
    const path = await write(dir, "a", "x");
    const { code } = await kedge(["upload", path], { signal: stop.signal });
    assert.equal(code, 130);
  }));
