/** Programs that die are started again; one supervisor at a time. */
import assert from "node:assert/strict";
import { eventually } from "../../../tests/helpers/eventually.ts";
import { lockData } from "./lock.ts";
import { Supervised } from "./supervisor.ts";
import type { Program, ProgramSpec } from "./program.ts";

Deno.test("lockData() lets one in and names it to the other", async () => {
  const path = await Deno.makeTempFile();
  try {
    const lock = lockData(path);
    assert.throws(() => lockData(path), new RegExp(`process ${Deno.pid}`));
    lock[Symbol.dispose]();
    lockData(path)[Symbol.dispose]();
  } finally {
    await Deno.remove(path);
  }
});

/** Wait until a condition holds. */
const until = (condition: () => boolean | Promise<boolean>) =>
  eventually(condition, { what: "the condition of this test" });

/** Programs that a test lets die. */
class FakePrograms {
  readonly started: { die: (how: string) => void; signals: string[] }[] = [];
  readonly said: string[] = [];
  readonly slept: number[] = [];
  /** Whether SIGTERM is obeyed. */
  isObedient = true;
  nowMs = 0;

  readonly ports = {
    start: (_spec: ProgramSpec): Program => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const signals: string[] = [];
      this.started.push({ die: resolve, signals });
      return {
        pid: this.started.length,
        ended: promise,
        kill: (signal) => {
          signals.push(signal);
          if (this.isObedient || signal === "SIGKILL") resolve(signal);
        },
      };
    },
    say: (line: string) => void this.said.push(line),
    nowMs: () => this.nowMs,
    sleep: (ms: number) => {
      this.slept.push(ms);
      return Promise.resolve();
    },
  };
}

const SPEC: ProgramSpec = { name: "x", args: [], env: {}, logFile: "" };

Deno.test("Supervised starts a program again and says why", async () => {
  const programs = new FakePrograms();
  const one = new Supervised(
    "node-1",
    () => Promise.resolve(SPEC),
    programs.ports,
  );
  one.start();
  for (const death of [1, 2, 3]) {
    await until(() => programs.started.length === death);
    programs.started[death - 1]?.die("signal SIGKILL");
  }
  await until(() => programs.started.length === 4);
  assert.deepEqual(programs.slept, [100, 200, 400]);
  assert.equal(one.deaths, 3);
  assert.equal(one.pid, 4);
  assert.match(
    programs.said[0] ?? "",
    /node-1 died \(signal SIGKILL\).*100 ms/,
  );
  await one.stop();
  assert.equal(programs.started.length, 4, "a stop is not a death");
  assert.deepEqual(programs.started[3]?.signals, ["SIGTERM"]);
});

Deno.test("Supervised tries again when preparing fails", async () => {
  const programs = new FakePrograms();
  let tries = 0;
  const one = new Supervised("node-1", () => {
    return ++tries < 3
      ? Promise.reject(new Error("no token"))
      : Promise.resolve(SPEC);
  }, programs.ports);
  one.start();
  await until(() => programs.started.length === 1);
  assert.match(programs.said[0] ?? "", /no token/);
  await one.stop();
});

Deno.test("Supervised kills a program that does not stop", async () => {
  const programs = new FakePrograms();
  programs.isObedient = false;
  const one = new Supervised(
    "node-1",
    () => Promise.resolve(SPEC),
    programs.ports,
  );
  one.start();
  await until(() => programs.started.length === 1);
  await one.stop(10);
  assert.deepEqual(programs.started[0]?.signals, ["SIGTERM", "SIGKILL"]);
  assert.match(programs.said[0] ?? "", /does not stop/);
});
