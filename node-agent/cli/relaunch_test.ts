import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

Deno.test("kedge works as `deno install -g` starts it: without our import map", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-install-" });
  try {
    // What `deno install -g` writes beside the program it installs.
    const config = join(dir, "deno.json");
    await Deno.writeTextFile(config, '{"workspace":[]}');
    const main = fileURLToPath(new URL("../main.ts", import.meta.url));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--config", config, main],
        // A command whose module needs the import map; nobody listens there.
        ...["nodes", "--json", "--tracker", "http://127.0.0.1:2"],
      ],
      cwd: dir,
      env: { KEDGE_DATA: dir },
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    assert.equal(code, 4, text.decode(stderr));
    assert.equal(text.decode(stdout), "");
    assert.match(text.decode(stderr), /"exit":4/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
