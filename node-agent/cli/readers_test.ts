/**
 * What a command does when nobody reads its output any more.
 *
 * @module
 */

import assert from "node:assert/strict";
import { drbdadm } from "./drbdadm.ts";
import { ReaderGone } from "./errors.ts";
import { runCommand } from "./command.ts";
import { COMMANDS } from "./registry.ts";
import { fakeContext } from "./testdata/fake_context.ts";
import type { Command } from "./command.ts";
import type { CommandContext, Output } from "./context.ts";

const GONE: Output = {
  line() {
    throw new ReaderGone();
  },
  write() {
    throw new ReaderGone();
  },
  bytes: () => Promise.reject(new ReaderGone()),
  columns: undefined,
};

function unread(): CommandContext {
  return { ...fakeContext().context, out: GONE, err: GONE };
}

/** A command with three steps, of which each is told. */
function command(done: number[], reads?: true): Command {
  return {
    name: "test",
    summary: "",
    usage: ["test"],
    about: "",
    options: {},
    examples: [],
    ...(reads === undefined ? {} : { reads }),
    async run(_args, { out, err }) {
      for (const step of [1, 2, 3]) {
        done.push(step);
        out.line(`step ${step}`);
        err.write("…");
        await out.bytes(new Uint8Array(1));
      }
      return 7;
    },
  };
}

async function runUnread(it: Command): Promise<number> {
  const load = () => Promise.resolve(it);
  const entry = { name: "test", summary: "", section: "tools", load } as const;
  return await runCommand([entry], ["test"], unread());
}

Deno.test("a command that changes something does all of it, and its code counts", async () => {
  const done: number[] = [];
  assert.equal(await runUnread(command(done)), 7);
  assert.deepEqual(done, [1, 2, 3]);
});

Deno.test("a command that only reads ends", async () => {
  const done: number[] = [];
  await assert.rejects(runUnread(command(done, true)), ReaderGone);
  assert.deepEqual(done, [1]);
});

Deno.test("a refusal keeps its code when nobody reads standard error", async () => {
  assert.equal(await runCommand(COMMANDS, ["delete"], unread()), 2);
  assert.equal(await runCommand(COMMANDS, ["status", "--no"], unread()), 2);
});

function reads(name: string, args: readonly string[]): Promise<boolean> {
  const entry = COMMANDS.find((each) => each.name === name);
  assert.ok(entry, name);
  return entry.load().then(({ reads = false }) =>
    reads === true || reads !== false && reads(args)
  );
}

Deno.test("which command lines only read", async () => {
  const cases: [string, string[], boolean][] = [
    ["download", ["ID", "-o", "-"], true],
    ["download", ["ID"], false],
    ["status", [], true],
    ["upload", ["FILE"], false],
    ["meta", ["get", "ID"], true],
    ["meta", ["set", "ID", "a=b"], false],
    ["volume", ["--run-dir", "/x", "watch"], true],
    ["volume", ["promote", "db"], false],
    ["volume", ["--no-such-option"], false],
    ["drbdadm", ["-c", "FILE", "events2"], true],
    ["drbdadm", ["show-gi", "db"], true],
    ["drbdadm", ["create-md", "db"], false],
    ["drbdadm", ["--", "--force", "primary", "db"], false],
    ["drbdadm", ["wait-connect", "db"], false],
    ["drbdadm", ["nosuch"], false],
  ];
  for (const [name, args, wanted] of cases) {
    assert.equal(await reads(name, args), wanted, `${name} ${args.join(" ")}`);
  }
});

Deno.test("drbdadm takes a reader that is gone for no error of its own", async () => {
  await assert.rejects(drbdadm.run(["help"], unread()), ReaderGone);
});
