import assert from "node:assert/strict";
import { fakeContext } from "../testdata/fake_context.ts";
import { identityOf } from "./config.ts";
import { confirm } from "./confirm.ts";
import { parseLine } from "./line.ts";
import { Session } from "./session.ts";

const TOOLS = { FORCED: "forced\n", NO_TERMINAL: "no tty\n", PROMPT: "? " };
const QUESTIONS = [
  { stdout: "", stderr: "metadata?\n", cancelled: "cancelled\n" },
  { stdout: "found xfs\n", stderr: "proceed?\n", cancelled: "canceled\n" },
];

interface Scene {
  readonly stdin?: string;
  readonly words?: readonly string[];
  readonly isTerminal: boolean;
}

async function ask(
  options: Scene,
) {
  const { context, printed } = fakeContext({ stdin: options.stdin ?? "" });
  using session = new Session(
    parseLine(["create-md", ...options.words ?? [], "r"]),
    {
      context,
      identity: identityOf("a", {}),
      runDir: "/nonexistent",
      targets: "some",
    },
  );
  const isYes = await confirm(
    session,
    QUESTIONS,
    TOOLS,
    () => options.isTerminal,
  );
  return { isYes, out: printed.out(), err: printed.err() };
}

Deno.test("two questions, two answers on a terminal", async () => {
  assert.deepEqual(await ask({ stdin: "yes\nyes\n", isTerminal: true }), {
    isYes: true,
    out: "found xfs\n",
    err: "metadata?\n? proceed?\n? ",
  });
  assert.deepEqual(await ask({ stdin: "yes\ny\n", isTerminal: true }), {
    isYes: false,
    out: "found xfs\ncanceled\n",
    err: "metadata?\n? proceed?\n? ",
  });
  assert.equal((await ask({ stdin: "", isTerminal: true })).isYes, false);
});

Deno.test("no terminal is a no, --force is a yes", async () => {
  assert.deepEqual(await ask({ stdin: "yes\nyes\n", isTerminal: false }), {
    isYes: false,
    out: "cancelled\n",
    err: "metadata?\nno tty\n",
  });
  assert.deepEqual(await ask({ words: ["--force"], isTerminal: false }), {
    isYes: true,
    out: "found xfs\n",
    err: "metadata?\nforced\nproceed?\nforced\n",
  });
});
