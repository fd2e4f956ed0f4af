/** How an agent of a local cluster comes by its identity. */
import assert from "node:assert/strict";
import { identityOf, provideToken } from "./joining.ts";
import { layoutOf } from "./layout.ts";
import { Operator } from "./operator.ts";
import { tokenFile } from "./programs.ts";

Deno.test("provideToken() uses a token again: a repeated join is the same join", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-start-" });
  try {
    const layout = layoutOf(dir);
    const agent = { index: 1, group: "group1", port: 1, peerPort: 2 };
    await Deno.mkdir(layout.node(1));
    let made = 0;
    const operator = new Operator(
      () =>
        Promise.resolve(Response.json({
          kind: "join",
          token: `token-${++made}`,
          hash: "00",
          expires: null,
        })),
      "http://tracker.test",
      "key",
    );
    await provideToken(layout, agent, operator);
    // The agent begins its file before it joins, and dies.
    await Deno.writeTextFile(
      `${layout.node(1)}/agent.json`,
      '{"firstStore":"x"}',
    );
    assert.equal(await identityOf(layout, agent), undefined);
    await provideToken(layout, agent, operator);
    assert.equal(made, 1);
    const path = tokenFile(layout, agent);
    assert.equal(await Deno.readTextFile(path), "token-1\n");
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);

    await Deno.writeTextFile(
      `${layout.node(1)}/agent.json`,
      '{"firstStore":"x","identity":{"node":7}}',
    );
    assert.equal(await identityOf(layout, agent), 7);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
