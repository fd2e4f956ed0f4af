/**
 * The README's lines work as they stand there: every `sh` block that follows a
 * `<!-- tested -->` mark is run, in order, in one shell, against a fresh start.
 * 20 s
 *
 * @module
 */

import assert from "node:assert/strict";
import { run } from "../helpers/child.ts";
import { Scope } from "../helpers/scope.ts";
import { ROOT, startStack } from "../helpers/stack.ts";

const readme = await Deno.readTextFile(`${ROOT}README.md`).catch(() => "");
const blocks = [
  ...readme.matchAll(/<!--[^>]*\btested\b[^>]*-->\s*```sh\n([\s\S]*?)```/g),
].map((match) => match[1] ?? "");

Deno.test("the README has a tested block", () => {
  assert(blocks.length > 0, "no `sh` block after a `<!-- tested -->` mark");
});

Deno.test("the README's lines work", async () => {
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const { ready, data } = await startStack(scope, {
    data: `${dir}/kedge-data`,
  });
  // The README speaks of the default addresses; a test has its own.
  const own = new Map([
    ["127.0.0.1:8080", new URL(ready.tracker).host],
    ...ready.agents.map(({ url }, i): [string, string] => [
      `127.0.0.1:${8081 + i}`,
      new URL(url).host,
    ]),
    ["./kedge-data", data],
    ["kedge-data/", `${data}/`],
  ]);
  let script = blocks.join("\n");
  for (const [from, to] of own) script = script.replaceAll(from, to);
  const { code, stdout, stderr } = await run(
    ["bash", "-euo", "pipefail", "-c", script],
    {
      cwd: ROOT,
      env: {
        KEDGE_TRACKER: ready.tracker,
        TMPDIR: dir,
        ...scope.environment(),
      },
    },
  );
  assert.equal(
    code,
    0,
    `${script}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`,
  );
});
