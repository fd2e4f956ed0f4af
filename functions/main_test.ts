import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

Deno.test("main.ts answers under `deno serve`, where local callers are local", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["serve", "-A", "--host", "127.0.0.1", "--port", "0", MAIN],
    env: { KEDGE_KV: ":memory:", KEDGE_ACCESS: "open", NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  try {
    const url = await listeningUrl(child.stderr);
    const response = await fetch(`${url}v1/groups`);
    assert.deepEqual(await response.json(), { groups: [] });
    // A refusal is logged, but nobody reads its stderr any more.
    const foreign = await fetch(`${url}v1/groups`, {
      headers: { "sec-fetch-site": "cross-site" },
    });
    assert.equal(foreign.status, 401);
    await foreign.body?.cancel();
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

/** What `deno serve` says when it listens. */
async function listeningUrl(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  let said = "";
  for await (const text of stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    const url = /Listening on (http:\S+)/.exec(said)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`It ended without listening: ${said}`);
}
