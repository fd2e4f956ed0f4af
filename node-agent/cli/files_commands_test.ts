import assert from "node:assert/strict";
import { join } from "node:path";
import { type FakeWorld, type Ran, run } from "./testdata/fake_context.ts";
import {
  type Arrived,
  FakeCluster,
  problem,
  TRACKER,
} from "./testdata/fake_cluster.ts";

const ID = "group1/M00/00/00/photo.jpg";

/** Run commands against a fake cluster, with a folder of their own. */
async function scene(
  play: (tools: {
    cluster: FakeCluster;
    dir: string;
    kedge: (argv: string[], world?: FakeWorld) => Promise<Ran>;
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-cli-" });
  const cluster = new FakeCluster();
  try {
    await play({
      cluster,
      dir,
      kedge: (argv, world = {}) =>
        run(argv, {
          fetch: cluster.fetch,
          ...world,
          env: {
            KEDGE_TRACKER: TRACKER,
            KEDGE_API_KEY: "secret",
            ...world.env,
          },
        }),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function write(dir: string, name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await Deno.writeTextFile(path, text);
  return path;
}

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

Deno.test("kedge download writes the file under its original name", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "content", "../../evil/photo.jpg");
    const { code, out } = await kedge(["download", "-o", dir, ID]);
    assert.equal(code, 0);
    assert.equal(out, `${join(dir, "photo.jpg")}\t7 B\n`);
    assert.equal(await Deno.readTextFile(join(dir, "photo.jpg")), "content");
    assert.deepEqual([...Deno.readDirSync(dir)].length, 1, "no partial file");
  }));

Deno.test("kedge download goes on where a broken answer stopped", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    let isFirst = true;
    cluster.intercept = (request) => {
      if (!isContent(request) || !isFirst) return;
      isFirst = false;
      return broken("0123", etagOf(cluster));
    };
    const target = join(dir, "out");
    const { code, err } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 0, err);
    assert.equal(await Deno.readTextFile(target), "0123456789");
    const ranges = cluster.arrived.filter(isContent)
      .map(({ headers }) => headers.get("range"));
    assert.equal(ranges.at(-1), "bytes=4-");
  }));

Deno.test("kedge download resumes in the next run, on condition", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    const etag = etagOf(cluster);
    const target = join(dir, "out");
    cluster.intercept = (request) =>
      isContent(request) ? broken("0123", etag, request) : undefined;
    const first = await kedge(["download", "-o", target, ID]);
    assert.notEqual(first.code, 0);
    await assert.rejects(Deno.stat(target), "no half file has the name");

    cluster.intercept = () => undefined;
    cluster.arrived.length = 0;
    const second = await kedge(["download", "-o", target, ID]);
    assert.equal(second.code, 0, second.err);
    assert.equal(await Deno.readTextFile(target), "0123456789");
    const [request] = cluster.arrived.filter(isContent);
    assert.equal(request?.headers.get("if-range"), etag);
    assert.match(request?.headers.get("range") ?? "", /^bytes=[1-9]\d*-$/);
  }));

Deno.test("kedge download begins again when the content changed", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    const target = join(dir, "out");
    const etag = etagOf(cluster);
    cluster.intercept = (request) =>
      isContent(request) ? broken("0123", etag, request) : undefined;
    await kedge(["download", "-o", target, ID]);
    cluster.intercept = () => undefined;
    cluster.put(ID, "abcdefghij");
    const { code, err } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 0, err);
    assert.equal(await Deno.readTextFile(target), "abcdefghij");
  }));

Deno.test("kedge download never names wrong bytes as the file", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "0123456789");
    cluster.intercept = (request) =>
      isContent(request) ? new Response("012345678X") : undefined;
    const target = join(dir, "out");
    const { code, err } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 1);
    assert.match(err, /checksum/);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("kedge download tries the other replicas", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "content");
    cluster.intercept = (request) =>
      isContent(request) && request.host !== "node-2.test"
        ? problem(503, "damaged", "the copy is damaged")
        : undefined;
    const target = join(dir, "out");
    const { code } = await kedge(["download", "-o", target, ID]);
    assert.equal(code, 0);
    assert.equal(await Deno.readTextFile(target), "content");
  }));

Deno.test("kedge download does not overwrite without --force", () =>
  scene(async ({ cluster, dir, kedge }) => {
    cluster.put(ID, "new");
    const target = await write(dir, "out", "old");
    const refused = await kedge(["download", "-o", target, ID]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /exists already[^]*--force/);
    assert.equal(await Deno.readTextFile(target), "old");
    assert.equal((await kedge(["download", "-f", "-o", target, ID])).code, 0);
    assert.equal(await Deno.readTextFile(target), "new");
  }));

Deno.test("kedge download -o - writes the bytes and nothing else", () =>
  scene(async ({ cluster, kedge }) => {
    cluster.put(ID, "content");
    const { code, out } = await kedge(["download", "-o", "-", ID]);
    assert.equal(code, 0);
    assert.equal(out, "content");
  }));

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

function isContent({ method, path }: Arrived): boolean {
  return method === "GET" && path.startsWith(`/${ID}`);
}

function etagOf(cluster: FakeCluster): string {
  void cluster;
  // First 16 digits of the SHA-256 of "0123456789".
  return '"84d89877f0d4041e"';
}

/** An answer that breaks off after some text. */
function broken(text: string, etag: string, request?: Arrived): Response {
  const from = /^bytes=(\d+)-/.exec(request?.headers.get("range") ?? "")?.[1];
  if (from !== undefined) return problem(503, "unavailable", "later");
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) return controller.error(new TypeError("connection reset"));
      sent = true;
      controller.enqueue(new TextEncoder().encode(text));
    },
  });
  return new Response(body, { headers: { etag } });
}
