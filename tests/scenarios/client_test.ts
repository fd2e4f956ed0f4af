/**
 * Clients that break off (S17), that lie about paths (S67), that crawl (S68) or
 * speak nonsense (S69): nothing half is kept, nothing outside the store is
 * opened, and everybody else is served.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile, readStatus } from "../helpers/api.ts";
import { duplicates, untilSame } from "../helpers/census.ts";
import { Cluster } from "../helpers/cluster.ts";
import { eventually, pause } from "../helpers/eventually.ts";
import { peakRssBytesOf } from "../helpers/proc.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { RawHttp, requestBytes } from "../helpers/raw_http.ts";
import { Scope } from "../helpers/scope.ts";

const text = (words: string) => new TextEncoder().encode(words);

/** How a request for something outside may be answered. */
const REFUSED = [400, 401, 403, 404, 405, 414];

// 45 s together
Deno.test("clients that misbehave", async (t) => {
  await using scope = new Scope();
  const cluster = await Cluster.start(scope);
  const { api } = cluster;
  const [a, b] = cluster.pair;
  const random = new Random(seedOfRun("clients"));
  const known = await api.uploadAt(a.node, text("known"), { level: "C" });
  const isHealthy = async () => {
    const { id } = await api.uploadAt(a.node, random.bytes(2_000));
    assert.equal(await readStatus(b.url, id), 200);
  };

  await t.step(
    "S17: cut after the last byte, retry gives the same ID",
    async () => {
      const placed = await api.placeAt(a.node);
      const { pathname, search, host } = new URL(placed.url);
      for (let round = 0; round < 20; round++) {
        const body = random.bytes(round % 4 === 3 ? 200_000 : 3_000);
        const key = crypto.randomUUID();
        const headers = { "idempotency-key": key, "x-kedge-level": "C" };
        const parts = { host, headers, body };
        const raw = await RawHttp.open(a.url);
        await raw.send(requestBytes("PUT", pathname + search, parts));
        if (round % 2 === 0) await pause(random.between(0, 20));
        raw.close();
        const options = { level: "C", idempotencyKey: key } as const;
        const first = await eventually(() => api.put(placed, body, options), {
          what: "the retry",
        });
        const second = await api.put(placed, body, options);
        assert.equal(second.id, first.id);
        // Another door, the same key.
        const other = await api.placeAt(b.node);
        const third = await api.put(other, body, options);
        assert.equal(third.id, first.id, "the same key at the other node");
      }
      const files = await untilSame(cluster);
      assert.deepEqual(duplicates(files), [], "one visible ID per key");
    },
  );

  await t.step("a key used for other content is refused", async () => {
    const idempotencyKey = crypto.randomUUID();
    const placed = await api.placeAt(a.node);
    await api.put(placed, text("one"), { idempotencyKey });
    await assert.rejects(
      api.put(placed, text("two"), { idempotencyKey }),
      /idempotency-conflict/,
    );
  });

  await t.step("S67: no name leads outside the store", async () => {
    const [group = "", , hh = "", ll = "", name = ""] = known.id.split("/");
    const paths = [
      "/group1/M00/../../../../etc/passwd",
      "/group1/M00/00/00/../../../../../../etc/passwd",
      "/group1/M00/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
      "/group1/M00/..%2f..%2f..%2fetc/passwd",
      "/group1/M00/00/00/%2fetc%2fpasswd",
      "/group1/M00/00/00/..%5c..%5cagent.json",
      "/group1/M00/00/00/a%00.jpg",
      "/group1/M00/00/00/%c0%ae%c0%ae%2fagent.json",
      "//etc/passwd",
      "/group1/M00/.tmp/x",
      "/group1/M00/00/00/.kedge-path",
      "/group1/M00/../agent.json",
      `/${group}/MFF/${hh}/${ll}/${name}`,
      `/${group}/M00/${hh}/${ll}/${name}/../../../../../agent.json`,
      `/group1/M00/00/00/${"A".repeat(5_000)}`,
      "/v1/files/group1%2fM00%2f..%2f..%2fagent.json/info",
      "/v1/files/../../../../etc/passwd/info",
    ];
    for (const base of [a.url, cluster.tracker.url]) {
      for (const method of ["GET", "DELETE"]) {
        for (const path of paths) {
          using raw = await RawHttp.open(base);
          const { host } = new URL(base);
          const answer = await raw.ask(
            requestBytes(method, path, { host }),
            "body",
          );
          const what = `${method} ${base}${path}: ${answer.status}`;
          // A tracker knows no files: it may send a well-formed ID on.
          const isId = /^\/group1\/M[0-9A-F]{2}\/[^/%.]+\/[^/%.]+\/[^/%]+$/;
          const fine = isId.test(path) && base === cluster.tracker.url
            ? [...REFUSED, 307]
            : REFUSED;
          assert(fine.includes(answer.status), what);
          const body = new TextDecoder().decode(answer.body);
          assert(!/root:|credential|clusterSecret/.test(body), what);
        }
      }
    }
    await isHealthy();
  });

  await t.step(
    "S67: a symbolic link inside the store is not followed",
    async () => {
      const body = text("not a secret");
      const { id } = await api.uploadAt(a.node, body, { level: "C" });
      const path = await fileOf(a.dir, id);
      const secret = `${cluster.dir}/secret`;
      await Deno.writeTextFile(secret, "not a SECRET");
      await Deno.remove(path);
      await Deno.symlink(secret, path);
      const status = await readStatus(a.url, id);
      assert.notEqual(status, 404);
      if (status === 200) assert.deepEqual(await readFile(a.url, id), body);
      assert.equal(await Deno.readTextFile(secret), "not a SECRET");
    },
  );

  await t.step("S69: requests that no client should send", async () => {
    const placed = await api.placeAt(a.node);
    const { pathname, search, host } = new URL(placed.url);
    const put = `PUT ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n`;
    const before = (await api.list(a.node)).length;
    // Bodies sent ahead of a record that never came wait for a minute.
    const staged = [a, b].map(({ dir }) => stagedAt(dir));
    const requests: [string, string, "close" | "wait"][] = [
      ["a header of 1 MB", `${put}x: ${"y".repeat(2 ** 20)}\r\n\r\n`, "wait"],
      [
        "10,000 headers",
        put + Array.from({ length: 10_000 }, (_, i) =>
          `h${i}: v\r\n`).join("") +
        "\r\n",
        "wait",
      ],
      [
        "a bad chunk size",
        `${put}transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n`,
        "wait",
      ],
      [
        "a negative length",
        `${put}content-length: -5\r\n\r\nhello`,
        "wait",
      ],
      [
        "two lengths",
        `${put}content-length: 5\r\ncontent-length: 7\r\n\r\nhello!!`,
        "wait",
      ],
      [
        "a length and chunks",
        `${put}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`,
        "close",
      ],
      ["less than announced", `${put}content-length: 90\r\n\r\nhel`, "close"],
      [
        "10 GB announced, then gone",
        `${put}content-length: 10000000000\r\n\r\n${"x".repeat(100_000)}`,
        "close",
      ],
      [
        "chunks that stop",
        `${put}transfer-encoding: chunked\r\n\r\n5\r\nhe`,
        "close",
      ],
      ["not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "close"],
      ["a multipart body without an end", multipart(put), "close"],
    ];
    for (const [what, request, ending] of requests) {
      for (const base of [a.url, cluster.tracker.url]) {
        using raw = await RawHttp.open(base);
        await raw.send(request).catch(() => {});
        if (ending === "close") {
          await raw.closeWrite().catch(() => {});
          await pause(20);
          continue;
        }
        const answer = await raw.untilClosedOr(3_000);
        assert(
          !/^HTTP\/1.1 2/.test(answer),
          `${what}: ${answer.slice(0, 200)}`,
        );
      }
      await isHealthy();
    }
    for (const [i, agent] of [a, b].entries()) {
      await eventually(() => {
        const names = stagedAt(agent.dir).difference(staged[i] ?? new Set());
        if (names.size === 0) return true;
        throw new Error([...names].join(" "));
      }, { what: `no staging file to be left at ${agent.name}` });
    }
    const listed = (await api.list(a.node)).length;
    assert.equal(listed, before + requests.length, "only the healthy uploads");
  });

  await t.step(
    "S68: 150 clients that crawl do not stop the others",
    async () => {
      const placed = await api.placeAt(a.node);
      const { pathname, search, host } = new URL(placed.url);
      const put = `PUT ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n`;
      const crawlers: RawHttp[] = [];
      try {
        for (let i = 0; i < 150; i++) {
          const raw = await RawHttp.open(a.url);
          crawlers.push(raw);
          await raw.send(
            i % 2 === 0 ? put : `${put}content-length: 50000\r\n\r\n`,
          );
        }
        for (let second = 0; second < 3; second++) {
          await Promise.all(
            crawlers.map((raw) => raw.send("x").catch(() => {})),
          );
          for (let i = 0; i < 10; i++) await isHealthy();
        }
      } finally {
        for (const raw of crawlers) raw.close();
      }
      await isHealthy();
    },
  );

  await t.step("all of that did not bloat anybody", () => {
    for (const agent of [a, b]) {
      assert(peakRssBytesOf(agent.pid) < 400 * 2 ** 20, `${agent.name} grew`);
    }
  });
});

function multipart(put: string): string {
  return `${put}content-type: multipart/form-data; boundary=b\r\n` +
    "content-length: 500\r\n\r\n--b\r\ncontent-disposition: form-data; " +
    'name="file"; filename="a"\r\n\r\nhello';
}

/** Names of the staging files of an agent. */
function stagedAt(dir: string): Set<string> {
  const entries = Deno.readDirSync(`${dir}/store/data/.tmp`);
  return new Set(Array.from(entries, ({ name }) => name));
}

/** Where a file lies on disk, once it is settled there. */
async function fileOf(dir: string, id: string): Promise<string> {
  const [, , hh, ll, name] = id.split("/");
  const path = `${dir}/store/data/${hh}/${ll}/${name}`;
  await eventually(() => Deno.stat(path), { what: `${path} to exist` });
  return path;
}
