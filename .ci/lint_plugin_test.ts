import assert from "node:assert/strict";
import plugin from "./lint_plugin.ts";

const ROOT = new URL("..", import.meta.url).pathname;

function messages(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, `${ROOT}${path}`, source)
    .map(({ message }) => message);
}

Deno.test("house/layers refuses imports against the layer rule", () => {
  const bad = [
    ["schema/a.ts", "../functions/app.ts"],
    ["functions/a.ts", "../node-agent/ports.ts"],
    ["node-agent/files/a.ts", "../sync/b.ts"],
    ["node-agent/http/a.ts", "../adapters/clock.ts"],
    ["node-agent/http/a.ts", "@kedge/functions"],
    ["node-agent/http/a.ts", "../../infra/links/x.ts"],
  ] as const;
  for (const [path, target] of bad) {
    const source = `/** x */\nimport { x } from "${target}";\n`;
    assert.equal(messages(path, source).length, 1, `${path} → ${target}`);
  }
});

Deno.test("house/layers lets the composition root and tests wire parts", () => {
  const good = [
    ["node-agent/agent.ts", "./files/store.ts"],
    ["node-agent/files/a.ts", "../ports.ts"],
    ["node-agent/files/a_test.ts", "../sync/b.ts"],
    ["tests/e2e/a_test.ts", "../../node-agent/agent.ts"],
  ] as const;
  for (const [path, target] of good) {
    const source = `/** x */\nimport { x } from "${target}";\n`;
    assert.deepEqual(messages(path, source), [], `${path} → ${target}`);
  }
});

Deno.test("house/pure refuses clocks, randomness and waiting in cores", () => {
  for (
    const line of [
      "Date.now();",
      "Math.random();",
      "await x;",
      "Deno.pid;",
      "setTimeout(f, 1);",
    ]
  ) {
    const source = `/** x */\n${line}\n`;
    assert.equal(messages("node-agent/sync/x_core.ts", source).length, 1, line);
    assert.deepEqual(messages("node-agent/sync/x.ts", source), [], line);
  }
});

Deno.test("house/documented wants a comment on files and exports", () => {
  assert.equal(messages("schema/a.ts", "const a = 1;\n").length, 1);
  const source = "/** file */\nimport x from 'y';\nexport const a = x;\n";
  assert.equal(messages("schema/a.ts", source).length, 1);
});
