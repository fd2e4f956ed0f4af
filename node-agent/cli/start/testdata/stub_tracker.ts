/** A tracker that keeps nothing: enough for `kedge start` to be tested. */

import { parseHostPort } from "@kedge/schema/config/units";

const { hostname, port } = parseHostPort(Deno.env.get("KEDGE_LISTEN") ?? "") ??
  { hostname: "127.0.0.1", port: 0 };
const gen = crypto.randomUUID();
const key = Deno.readTextFileSync(Deno.env.get("KEDGE_ADMIN_KEY_FILE") ?? "")
  .trim();
// Kept beside the KV, so that a second start knows its nodes.
const memory = `${Deno.env.get("KEDGE_KV")}.stub`;
const joined: number[] = await Deno.readTextFile(memory)
  .then(JSON.parse, () => []);

const server = Deno.serve(
  { hostname, port, onListen() {} },
  async (request) => {
    const path = new URL(request.url).pathname;
    if (path === "/health") return Response.json({ ok: true });
    if (path === "/stub/join") {
      const node = await request.json();
      if (!joined.includes(node)) joined.push(node);
      Deno.writeTextFileSync(memory, JSON.stringify(joined));
      return Response.json({});
    }
    if (request.headers.get("authorization") !== `Bearer ${key}`) {
      return Response.json({ detail: "no key" }, { status: 401 });
    }
    if (path === "/v1/tokens") {
      return Response.json({
        kind: "join",
        token: "stub-token-stub-token",
        hash: "00",
        expires: null,
      });
    }
    if (path === "/v1/uploads") return Response.json({});
    if (request.method !== "GET") return Response.json({});
    const register = {
      group: "group1",
      gen,
      epoch: 1,
      members: joined.map((node) => ({ node, store: gen })),
      insync: joined,
    };
    const nodes = joined.map((node) => ({
      node,
      group: "group1",
      mode: "active",
      alive: true,
      insync: true,
      silentMs: 0,
      lagChanges: 0,
      lagEtaS: null,
      agreement: "unknown",
      report: null,
    }));
    return Response.json({
      groups: [{
        register,
        level: "B",
        totalBytes: 0,
        freeBytes: 0,
        writable: true,
        nodes,
      }],
    });
  },
);
Deno.addSignalListener("SIGTERM", () => server.shutdown());
await server.finished;
Deno.exit(0);
