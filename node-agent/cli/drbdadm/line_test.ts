import assert from "node:assert/strict";
import { checkSetup, LineError, parseLine } from "./line.ts";
import { refusalLines, setupExit } from "./replies.ts";
import { adjustTo } from "./adjust_core.ts";
import { outcomeOf } from "./wait_commands.ts";
import { sizeOption } from "./values.ts";
import { timestamp } from "./events_command.ts";
import { rowOf, ROWS } from "./table.ts";
import { resourceFixture, volumeFixture } from "./testdata/status_fixture.ts";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";

function parsed(text: string) {
  const { command, words, own, setup } = parseLine(text.split(" "));
  return { command, words, own: [...own], setup: [...setup] };
}

Deno.test("options stand before, after and behind --", () => {
  const forced = {
    command: "primary",
    words: ["mysql"],
    own: [],
    setup: [["force", "yes"]],
  };
  assert.deepEqual(parsed("-- --force primary mysql"), forced);
  assert.deepEqual(parsed("primary --force mysql"), forced);
  assert.deepEqual(parsed("primary mysql --force"), forced);
  assert.deepEqual(parsed("primary -- --force mysql"), forced);
  assert.deepEqual(parsed("-- -f primary mysql"), forced);
  assert.deepEqual(parsed("-W --force primary mysql"), forced);
  assert.deepEqual(
    parsed("-- --overwrite-data-of-peer primary mysql").setup,
    [["overwrite-data-of-peer", "yes"]],
  );
  assert.deepEqual(parsed("-c/a.conf -d up all"), {
    command: "up",
    words: ["all"],
    own: [["config-file", "/a.conf"], ["dry-run", "yes"]],
    setup: [],
  });
  assert.deepEqual(parsed("verify --start 100M --stop=2048s r/1").setup, [
    ["start", "100M"],
    ["stop", "2048s"],
  ]);
});

Deno.test("an option that nobody has is refused with the nearest one", () => {
  assert.throws(() => parseLine(["-c"]), LineError);
  assert.throws(() => parseLine(["-x"]), /unrecognized option '-x'/);
  const line = parseLine(["connect", "--discard-my-dat", "r"]);
  assert.throws(
    () => checkSetup(line, rowOf("connect")?.options ?? []),
    /unrecognized option '--discard-my-dat'; did you mean --discard-my-data\?/,
  );
});

Deno.test("every command has an action", async () => {
  assert.equal(new Set(ROWS.map(({ name }) => name)).size, ROWS.length);
  for (const row of ROWS) {
    assert.equal(typeof await row.load(), "function", row.name);
  }
});

Deno.test("refusals: DRBD's lines, our sentence, DRBD's exit codes", () => {
  const lines = (code: number, why?: string) =>
    refusalLines("r", why === undefined ? { code } : { code, why }, {
      command: "disconnect",
      setup: "drbdsetup disconnect A B",
    });
  assert.deepEqual(lines(162), [
    "r: Failure: (162) Invalid configuration request",
    "additional info from kernel:",
    "unknown connection",
    "Command 'drbdsetup disconnect A B' terminated with exit code 10",
  ]);
  assert.deepEqual(lines(-12, "mounted on /mnt"), [
    "r: State change failed: (-12) Device is held open by someone",
    "  mounted on /mnt",
    "Command 'drbdsetup disconnect A B' terminated with exit code 11",
  ]);
  assert.deepEqual(
    [1, 2, -2, -4, -16, -1, 119, 20].map((code) => setupExit({ code })),
    [0, 0, 17, 16, 5, 11, 10, 20],
  );
});

Deno.test("a failure does not tell the shared secret", () => {
  const [, line] = refusalLines("r", { code: 102 }, {
    command: "connect",
    setup: "drbdsetup connect r A B --shared-secret=a\\ b --timeout=60",
  });
  assert.equal(
    line,
    "Command 'drbdsetup connect r A B --shared-secret=… --timeout=60' " +
      "terminated with exit code 10",
  );
});

Deno.test("sizes of verify and resize", () => {
  assert.equal(sizeOption("8", "start"), 4096);
  assert.equal(sizeOption("2k", "start"), 2048);
  assert.equal(sizeOption(undefined, "start"), undefined);
  assert.throws(() => sizeOption("a lot", "start"), /--start must be a size/);
});

Deno.test("what wait-connect and wait-sync wait for", () => {
  const of = (
    connection: string,
    goal: "connected" | "synced",
    after = false,
  ) => outcomeOf(volumeFixture({ state: { connection } }).state, goal, after);
  assert.equal(of("Connected", "connected"), "reached");
  assert.equal(of("SyncSource", "connected"), "reached");
  assert.equal(of("SyncSource", "synced"), "waiting");
  assert.equal(of("WFConnection", "synced"), "waiting");
  assert.equal(of("StandAlone", "connected"), "hopeless");
  assert.equal(of("StandAlone", "connected", true), "waiting");
  assert.equal(outcomeOf(undefined, "connected", true), "hopeless");
});

const conf = (net: string, peer = "10.0.0.2", disk = "/dev/a") =>
  resolveResource(
    parseDrbdText(`resource r { ${net} meta-disk internal; device /dev/drbd1;
  on a { disk ${disk}; address 10.0.0.1:7789; }
  on b { disk /dev/b; address ${peer}:7789; } }`),
    { host: "a", resourceName: "r" },
  );

Deno.test("adjust: starts, attaches, connects, and restarts only for what cannot change", () => {
  const wanted = conf("");
  const kinds = (
    running: typeof wanted | undefined,
    state: Parameters<typeof volumeFixture>[0],
  ) =>
    adjustTo({
      wanted,
      running,
      status: running === undefined
        ? undefined
        : resourceFixture(volumeFixture(state)),
    });
  assert.deepEqual(kinds(undefined, {}), [{ kind: "up" }]);
  assert.deepEqual(kinds(wanted, {}), []);
  assert.deepEqual(
    kinds(wanted, { state: { disk: "Diskless", connection: "StandAlone" } }),
    [{ kind: "attach", volume: 0 }, { kind: "connect" }],
  );
  const other = conf("net { timeout 61; shared-secret abc; }");
  assert.deepEqual(kinds(other, {}), [{ kind: "options" }]);
  const moved = conf("", "10.0.0.3");
  assert.deepEqual(kinds(moved, {}).map(({ kind }) => kind), [
    "disconnect",
    "options",
    "connect",
  ]);
  const onOther = conf("", "10.0.0.2", "/dev/z");
  assert.deepEqual(kinds(onOther, {}).map(({ kind }) => kind), [
    "detach",
    "options",
    "attach",
  ]);
  const renamed = {
    ...wanted,
    volumes: [{ ...wanted.volumes[0], minor: 7 }] as const,
  };
  assert.deepEqual(kinds(renamed, {}).map(({ kind }) => kind), ["restart"]);
});

Deno.test("timestamps of events2 have microseconds and an offset", () => {
  assert.match(
    timestamp(new Date(0)),
    /^19(69|70)-\d\d-\d\dT\d\d:\d\d:00\.000000[+-]\d\d:\d\d$/,
  );
});
