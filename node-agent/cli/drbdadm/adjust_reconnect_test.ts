import assert from "node:assert/strict";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import { run } from "../testdata/fake_context.ts";
import { resourceFixture, volumeFixture } from "./testdata/status_fixture.ts";

const TEXT = `resource mysql {
    device /dev/drbd1; disk /dev/x; meta-disk internal;
    on a { address 127.0.0.1:7789; }
    on b { address 127.0.0.2:7789; }
}
`;

/** Adjust a resource that is as it should be. Returns what the daemon was asked. */
async function adjusted(
  { pending = [], connection = "Connected", words = [] }: {
    readonly pending?: string[];
    readonly connection?: "Connected" | "WFConnection";
    readonly words?: string[];
  },
): Promise<{ readonly posts: string[]; readonly err: string }> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-adjust-" });
  const conf = `${dir}/drbd.conf`;
  await Deno.writeTextFile(conf, TEXT);
  const config = resolveResource(parseDrbdText(TEXT, { file: conf }), {
    host: "a",
    resourceName: "mysql",
  });
  const resource = {
    ...resourceFixture(volumeFixture({ state: { connection } })),
    pending,
  };
  const posts: string[] = [];
  const server = Deno.serve({
    path: `${dir}/mirror.sock`,
    transport: "unix",
    onListen() {},
  }, (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      posts.push(pathname);
      return Response.json({ code: 1 });
    }
    return pathname === "/v1/resources"
      ? Response.json({ version: "1", pid: 1, resources: [resource] })
      : Response.json({ config });
  });
  try {
    const { code, err } = await run(
      ["drbdadm", "-c", conf, "adjust", ...words, "mysql"],
      { env: { KEDGE_RUN_DIR: dir, KEDGE_HOST: "a" } },
    );
    assert.equal(code, 0, err);
    return { posts, err };
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

const ANEW = ["/v1/resources/mysql/reconnect"];

Deno.test("adjust says what is pending, each time, and how to take it", async () => {
  const { posts, err } = await adjusted({ pending: ["shared-secret"] });
  assert.deepEqual(posts, []);
  assert.match(err, /mysql: shared-secret counts from the next connection on/);
  assert.match(err, /the other host \(ha-node2\) .* adjust --reconnect mysql"/);
  assert.equal((await adjusted({})).err, "");
});

Deno.test("adjust --reconnect makes it anew, also for what is pending there", async () => {
  const words = ["--reconnect"];
  const here = await adjusted({ words, pending: ["protocol"] });
  assert.deepEqual(here, { posts: ANEW, err: "" });
  assert.deepEqual((await adjusted({ words })).posts, ANEW);
  const apart = await adjusted({ words, connection: "WFConnection" });
  assert.deepEqual(apart, { posts: [], err: "" });
});
