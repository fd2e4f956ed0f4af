/**
 * Links through the distribution's nginx, which asks an agent about them. 10 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { fastdfsToken, linkQuery } from "@kedge/schema/download-links";
import { isInstalled, run } from "../helpers/child.ts";
import { linkAttacks } from "../helpers/link_attacks.ts";
import { startNginx } from "../helpers/nginx.ts";
import { SAME_HEADERS, World } from "../helpers/nginx_world.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { say } from "../helpers/say.ts";
import { Scope } from "../helpers/scope.ts";
import { kedgeCommand, startStack } from "../helpers/stack.ts";

const ignore = !await isInstalled("nginx");
if (ignore) say("SKIPPED nginx links: it is not installed");

const random = new Random(seedOfRun("nginx_links"));

const KEY = { id: "k1", secret: "sixteen-characters-and-more" };
const MD5 = "FastDFS1234567890";

Deno.test({ name: "nginx asks an agent about links", ignore }, async (t) => {
  await using scope = new Scope();
  const env = {
    KEDGE_DOWNLOAD_TOKENS: "both",
    KEDGE_DOWNLOAD_KEYS: `${KEY.id} ${KEY.secret}\nfastdfs ${MD5}\n`,
    KEDGE_DOWNLOAD_TOKEN_PATHS: "!*.css",
  };
  const stack = await startStack(scope, { flags: ["--nginx"], env });
  const nginx = await startNginx(scope, stack, ["--serve", "accel"]);
  const world = new World(stack, nginx);
  const { api } = stack;
  const small = random.bytes(3000);
  const large = random.bytes(300_000);
  const photo = (await api.upload(small, { name: "a.jpg" })).id;
  const film = (await api.upload(large, { name: "b.mp4" })).id;
  const free = (await api.upload(small, { name: "c.css" })).id;
  const nowS = Math.floor(Date.now() / 1000);
  const link = (file: string, more = {}) => {
    const expiresS = nowS + 600;
    const method = "GET" as const;
    const claims = { file, method, expiresS, ip: "", download: "", ...more };
    return `${file}?${linkQuery(KEY, claims)}`;
  };
  const status = async (path: string, headers: Record<string, string> = {}) =>
    (await world.get(path, { headers })).status;

  await t.step("the same answer as from an agent", async () => {
    for (const [id, bytes] of [[photo, small], [film, large]] as const) {
      const own = await world.get(link(id));
      assert.deepEqual([own.status, own.bytes], [200, bytes]);
      const ours = await world.fromAgent(link(id));
      for (const name of [...SAME_HEADERS, "etag"]) {
        if (name === "cache-control") continue;
        assert.equal(own.headers.get(name), ours.headers.get(name), name);
      }
      assert.match(
        own.headers.get("cache-control") ?? "",
        /^private, max-age=\d+$/,
      );
      const etag = own.headers.get("etag") ?? "";
      assert.equal(await status(link(id), { "if-none-match": etag }), 304);
      const range = { range: "bytes=5-9", "if-range": etag };
      const part = await world.get(link(id), { headers: range });
      assert.deepEqual([part.status, part.bytes], [206, bytes.slice(5, 10)]);
      assert.equal(await status(link(id), { "if-match": etag }), 200);
      const head = await world.get(link(id), { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), String(bytes.length));
    }
  });

  await t.step(
    "large files are sent by nginx, small ones by the agent",
    async () => {
      const headers = { "x-kedge-accel": "1" };
      const [base] = world.agents;
      const at = async (id: string) =>
        (await world.get(link(id), { base, headers })).headers
          .get("x-accel-redirect");
      assert.equal(await at(film), `/.kedge/${film}`);
      assert.equal(await at(photo), null);
      assert.equal(
        await status(`.kedge/${film}`),
        404,
        "only agents lead there",
      );
    },
  );

  await t.step(
    "no link, an old one, another file, another client",
    async () => {
      assert.equal(await status(film), 403);
      assert.equal(await status(link(film, { expiresS: nowS - 1 })), 403);
      const [, query] = link(film).split("?");
      assert.equal(await status(`${photo}?${query}`), 403);
      assert.equal(await status(link(film, { ip: "127.0.0.1" })), 200);
      const other = link(film, { ip: "192.0.2.1" });
      assert.equal(await status(other), 403);
      const forged = { "x-forwarded-for": "192.0.2.1", "x-kedge-accel": "1" };
      assert.equal(await status(other, forged), 403);
      const named = link(film, { download: "film.mp4" });
      assert.equal(await status(named), 200);
      assert.equal(await status(named.replace("film.mp4", "x.exe")), 403);
      assert.equal(await status(free), 200, "exempt by its extension");
    },
  );

  await t.step("FastDFS's tokens", async () => {
    const token = (tsS: number) =>
      `${film}?token=${fastdfsToken(film, MD5, tsS)}&ts=${tsS}`;
    assert.equal(await status(token(nowS)), 200);
    assert.equal(await status(token(nowS - 2000)), 403);
    assert.equal(await status(token(0)), 403);
    assert.equal(await status(`${film}?token=x&ts=${nowS}`), 403);
  });

  await t.step("kedge link makes them", async () => {
    const base = ["--base", nginx.url];
    for (const more of [["--expires", "1m"], ["--fastdfs"]]) {
      const command = kedgeCommand(["link", ...base, ...more, film]);
      const { code, stdout, stderr } = await run(command, { env });
      assert.equal(code, 0, stderr);
      const got = await fetch(stdout.trim());
      assert.deepEqual(await got.bytes(), large);
    }
    const doctor = ["doctor", "--json", "--tracker", stack.ready.tracker];
    const well = await run(kedgeCommand(doctor), { env });
    assert.equal(well.code, 0, well.stdout);
    const logged = (await nginx.log()).join("\n");
    assert(!/token=|sig=/.test(logged));
    const told = await Deno.readTextFile(`${stack.data}/log/node-1.log`);
    assert(!told.includes(KEY.secret) && !told.includes(MD5));
  });

  await t.step("nothing gets a file past its link", async () => {
    const direct = await startNginx(scope, stack, ["--serve", "direct"]);
    const [, query = ""] = link(film).split("?");
    const [, other = ""] = link(photo).split("?");
    const [, old = ""] = link(film, { expiresS: nowS - 1 }).split("?");
    const [, head = ""] = link(film, { method: "HEAD" }).split("?");
    const md5 = `token=${fastdfsToken(film, MD5, nowS)}&ts=${nowS}`;
    const { etag = "" } = Object.fromEntries(
      (await world.get(link(film))).headers,
    );
    const tries = linkAttacks({
      ...{ file: film, free, etag, nowS },
      ...{ query, other, old, head, md5 },
      md5Other: `token=${fastdfsToken(photo, MD5, nowS)}&ts=${nowS}`,
    });
    for (const base of [nginx.url, direct.url, ...world.agents]) {
      const own = await world.raw(`GET /${film}?${query} HTTP/1.1`, { base });
      assert.equal(own.status, 200, "the link itself counts");
      assert(own.text.length > 10_000);
      const headOf = `HEAD /${film}?${head} HTTP/1.1`;
      assert.equal((await world.raw(headOf, { base })).status, 200);
      for (const { line, headers } of tries) {
        const { status, text } = await world.raw(line, { base, headers });
        const what = `${base} ${line} ${JSON.stringify(headers)}: ${status}`;
        // Before HTTP/1.0 an answer had no status.
        const isRefused = status >= 400 && status < 500 ||
          Number.isNaN(status) || /^location: /im.test(text);
        assert(isRefused && text.length < 1000, what);
      }
    }
  });

  await t.step("another agent's files are not looked for here", async () => {
    const [agent] = stack.ready.agents;
    assert(agent !== undefined);
    Deno.kill(agent.pid, "SIGKILL");
    const got = await world.get(link(film));
    assert.deepEqual([got.status, got.bytes], [200, large]);
  });
});
