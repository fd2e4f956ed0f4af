import assert from "node:assert/strict";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { keepLog } from "./log_file.ts";
import { startProgram } from "./program.ts";

/** A folder for one test. */
async function inFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-log-" });
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A byte stream of lines. */
function streamOf(...lines: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const line of lines) {
        controller.enqueue(new TextEncoder().encode(line));
      }
      controller.close();
    },
  });
}

Deno.test("what a program says is in its log while it runs", async () => {
  await inFolder(async (dir) => {
    const script = `${dir}/say.js`;
    await Deno.writeTextFile(
      script,
      `let n = 0;
       setInterval(() => Deno.stderr.writeSync(
         new TextEncoder().encode("line " + n++ + "\\n")), 20);`,
    );
    const logFile = `${dir}/say.log`;
    const program = startProgram({
      name: "say",
      args: ["run", "--quiet", "--no-config", script],
      env: { PATH: Deno.env.get("PATH") ?? "" },
      logFile,
    });
    try {
      await eventually(
        async () => /line 2\n/.test(await Deno.readTextFile(logFile)),
        { what: "the third line" },
      );
    } finally {
      program.kill("SIGKILL");
      await program.ended;
    }
  });
});

Deno.test("keepLog() keeps one older log and no more", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/x.log`;
    for (const line of ["first\n", "second\n", "third\n"]) {
      await keepLog(streamOf(line), path, 8);
    }
    assert.equal(await Deno.readTextFile(path), "third\n");
    assert.equal(await Deno.readTextFile(`${path}.1`), "second\n");
    const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["x.log", "x.log.1"]);
  });
});

Deno.test("keepLog() reads on when the log cannot be written", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/missing/x.log`;
    await keepLog(streamOf("lost\n", "lost\n"), path);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});
