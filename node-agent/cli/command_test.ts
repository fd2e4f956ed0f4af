import assert from "node:assert/strict";
import { helpOf } from "./command.ts";
import { COMMANDS } from "./registry.ts";
import { run } from "./testdata/fake_context.ts";

Deno.test("kedge --help lists every command", async () => {
  const { code, out } = await run(["--help"]);
  assert.equal(code, 0);
  for (const { name, summary } of COMMANDS) {
    assert.match(out, new RegExp(`^  ${name} +${escape(summary)}$`, "m"));
  }
});

Deno.test("kedge without a command shows the same and is misused", async () => {
  const { code, out } = await run([]);
  assert.equal(code, 2);
  assert.match(out, /Usage: kedge COMMAND/);
});

for (const entry of COMMANDS) {
  Deno.test(`kedge ${entry.name} --help teaches it`, async () => {
    const command = await entry.load();
    assert.equal(command.name, entry.name);
    assert.equal(command.summary, entry.summary);
    for (const usage of command.usage) {
      assert(usage.startsWith(entry.name), `usage "${usage}"`);
    }
    assert(command.examples.length > 0, "no example");
    for (const option of Object.values(command.options)) {
      assert(option.help.length > 5, "an option without help");
    }
    const { code, out } = await run([entry.name, "--help"]);
    assert.equal(code, 0);
    assert.equal(out.trimEnd(), helpOf(command).trimEnd());
    for (
      const part of ["Usage:", "Options:", "--json", "Examples:", "Exit codes:"]
    ) {
      assert(out.includes(part), `no "${part}"`);
    }
  });

  Deno.test(`kedge ${entry.name} --no-such-option is misused and says so`, async () => {
    const { code, out, err } = await run([entry.name, "--no-such-option"]);
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, /Unknown option --no-such-option/);
    assert.match(err, new RegExp(`next: kedge ${entry.name} --help`));
  });
}

Deno.test("what is misused shows the line of its verb", async () => {
  for (
    const [words, usage] of [
      [["volume", "promote"], /usage: kedge volume init\|up\|.*\|promote\|/],
      [["volume", "undo", "db", "drop"], /usage: kedge volume undo NAME/],
      [["volume", "frob"], /usage: kedge volume list\|status/],
    ] as const
  ) {
    const { code, err } = await run([...words]);
    assert.equal(code, 2);
    assert.match(err, usage);
  }
});

Deno.test("a mistyped command is told the nearest one", async () => {
  const { code, err } = await run(["uplaod", "x"]);
  assert.equal(code, 2);
  assert.match(err, /did you mean "kedge upload"\?/);
});

Deno.test("kedge help upload is kedge upload --help", async () => {
  const [a, b] = [await run(["help", "upload"]), await run(["upload", "-h"])];
  assert.equal(a.out, b.out);
});

Deno.test("--json makes errors JSON too", async () => {
  const { code, err } = await run(["info", "--json"]);
  assert.equal(code, 2);
  const { error, next, exit } = JSON.parse(err);
  assert.match(error, /Missing ID/);
  assert.equal(next, "kedge info --help");
  assert.equal(exit, 2);
});

Deno.test("kedge version --json is JSON", async () => {
  const { code, out } = await run(["version", "--json"]);
  assert.equal(code, 0);
  assert.match(JSON.parse(out).kedge, /^\d+\.\d+\.\d+$/);
});

Deno.test("kedge completion knows every command and option", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, out } = await run(["completion", shell]);
    assert.equal(code, 0);
    for (const { name } of COMMANDS) assert(out.includes(name), name);
    assert.match(out, /idempotent/);
    assert.match(out, /revoke/);
  }
});

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

Deno.test("kedge ends quietly when nobody reads its output any more", async () => {
  const main = new URL("../main.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", main, "--help"],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await child.stdout.cancel(); // long before it has anything to say
  const said = await new Response(child.stderr).text();
  assert.equal(said, "");
  assert.equal((await child.status).code, 0);
});
