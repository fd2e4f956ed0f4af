/**
 * `kedge start` after the shared KV store was lost: it says what helps, and
 * `--rebuild-kv` brings back every file. A node whose identity was lost comes
 * back with its files, too.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readFile } from "../helpers/api.ts";
import { run } from "../helpers/child.ts";
import { Scope } from "../helpers/scope.ts";
import { startCommand, startStack } from "../helpers/stack.ts";

// 20 s
Deno.test("a lost KV store is made again and every file is there", async (t) => {
  await using scope = new Scope();
  const data = `${await scope.tempDir()}/kedge-data`;
  const first = await startStack(scope, { data });
  const listen = new URL(first.ready.tracker).host;
  const files = new Map<string, Uint8Array>();
  for (const size of [0, 10, 5000, 70_000, 2_500_000]) {
    const body = new Uint8Array(size).fill(size % 251);
    const { id } = await first.api.upload(body, { name: "a.bin" });
    files.set(id, body);
  }
  const numbers = first.ready.agents.map(({ node }) => node);
  await first.child.stop();
  await Deno.remove(`${data}/tracker`, { recursive: true });

  await t.step("a plain start says what helps", async () => {
    const { code, stderr } = await run(startCommand(["--data", data]));
    assert.notEqual(code, 0);
    assert.match(stderr, /kedge start --rebuild-kv/);
  });

  await t.step("with --rebuild-kv it goes on", async () => {
    const again = await startStack(scope, {
      data,
      listen,
      flags: ["--rebuild-kv"],
    });
    assert.deepEqual(again.ready.agents.map(({ node }) => node), numbers);
    for (const { url } of again.ready.agents) {
      for (const [id, body] of files) {
        assert.deepEqual(await readFile(url, id), body);
      }
    }
    await again.api.upload(new Uint8Array(10), { level: "C" });
    await again.child.stop();
  });

  await t.step("a start that follows needs no flag", async () => {
    // The identity of node 1 is lost: it joins again as node 1.
    await Deno.remove(`${data}/node-1/agent.json`);
    const last = await startStack(scope, { data, listen });
    assert.deepEqual(last.ready.agents.map(({ node }) => node), numbers);
    for (const { url } of last.ready.agents) {
      for (const [id, body] of files) {
        assert.deepEqual(await readFile(url, id), body);
      }
    }
    const group = await last.api.group();
    assert.deepEqual(group.register.insync, numbers);
    await last.child.stop();
  });
});
