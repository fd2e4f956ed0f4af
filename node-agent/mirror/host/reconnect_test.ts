import { deepEqual, equal, match } from "node:assert/strict";
import type { MirrorCommand } from "@kedge/schema/mirror/control-api";
import {
  type MirrorState,
  UNCONFIGURED_STATE,
} from "../decisions/mirror_state.ts";
import { reconnect, type ReconnectSide } from "./reconnect.ts";

const WELL: MirrorState = {
  ...UNCONFIGURED_STATE,
  connection: "Connected",
  role: "Primary",
  peerRole: "Secondary",
  disk: "UpToDate",
  peerDisk: "UpToDate",
};

/** A Worker that does what it is told; `met` is what a connection comes to. */
function worker(
  state: MirrorState,
  met: MirrorState["connection"] = "Connected",
  refuses?: MirrorCommand["kind"],
): ReconnectSide & {
  readonly asked: string[];
  now: MirrorState;
  unconfirmed: number;
} {
  const asked: string[] = [];
  return {
    asked,
    now: state,
    unconfirmed: 0,
    status() {
      const peerPending = Math.max(0, this.unconfirmed--);
      return Promise.resolve([{ volume: 0, state: this.now, peerPending }]);
    },
    command(command, volume) {
      const { kind } = command;
      const late = kind === "disconnect" && this.unconfirmed > 0;
      asked.push(`${kind} ${volume ?? "all"}${late ? ": too early" : ""}`);
      if (kind === refuses) return Promise.resolve({ code: -10 });
      const changes: Partial<Record<MirrorCommand["kind"], object>> = {
        "suspend-io": { suspendedByUser: true },
        "resume-io": "onlyByUser" in command && command.onlyByUser
          ? { suspendedByUser: false }
          : { suspendedByUser: false, suspendedNoData: false },
        "disconnect": { connection: "StandAlone" },
        "connect": { connection: met },
      };
      this.now = { ...this.now, ...changes[kind] };
      return Promise.resolve({ code: 1 });
    },
  };
}

const HELD = ["suspend-io 0", "disconnect all", "connect all", "resume-io 0"];

Deno.test("a Primary answers nothing while its connection is made anew", async () => {
  const side = worker(WELL);
  side.unconfirmed = 3;
  deepEqual(await reconnect(side, "dont-care"), { code: 1 });
  deepEqual(side.asked, HELD);
  equal(side.now.suspendedByUser, false);
});

Deno.test("nobody is held, or thawed, who was not", async () => {
  const second = worker({ ...WELL, role: "Secondary" });
  equal((await reconnect(second, "dont-care")).code, 1);
  deepEqual(second.asked, ["disconnect all", "connect all"]);
  const frozen = worker({ ...WELL, suspendedByUser: true });
  equal((await reconnect(frozen, "dont-care")).code, 1);
  equal(frozen.now.suspendedByUser, true);
});

Deno.test("a peer with other options leaves the Primary alone, and thawed", async () => {
  const side = worker(WELL, "StandAlone");
  const reply = await reconnect(side, "dont-care");
  equal(reply.code, 20);
  match(reply.why ?? "", /its options differ. Adjust it there/);
  equal(side.now.suspendedByUser, false);
});

Deno.test("a connection that is not left is not looked for", async () => {
  const side = worker(WELL, "Connected", "disconnect");
  equal((await reconnect(side, "dont-care")).code, -10);
  deepEqual(side.asked, ["suspend-io 0", "disconnect all", "resume-io 0"]);
});

Deno.test("a connection is not made anew where that would cost something", async () => {
  const cases: [Partial<MirrorState>, string, number][] = [
    [{ connection: "SyncSource" }, "dont-care", -8],
    [{ connection: "WFConnection" }, "dont-care", -15],
    [{ role: "Secondary", peerRole: "Primary" }, "dont-care", -10],
    [{}, "resource-and-stonith", 162],
  ];
  for (const [state, fencing, code] of cases) {
    const side = worker({ ...WELL, ...state });
    equal((await reconnect(side, fencing)).code, code);
    deepEqual(side.asked, []);
  }
});

Deno.test("what froze meanwhile for want of data is left with that freeze only", async () => {
  const side = worker(WELL);
  const { command } = side;
  const reply = await reconnect({
    status: () => side.status(),
    command: async (what, volume) => {
      const done = await command.call(side, what, volume);
      if (what.kind === "connect") {
        side.now = { ...side.now, suspendedNoData: true };
      }
      return done;
    },
  }, "dont-care");
  equal(reply.code, 1);
  equal(side.now.suspendedNoData, true);
  equal(side.now.suspendedByUser, false);
});

Deno.test("a Primary that cannot be held keeps its connection, and is thawed", async () => {
  const side = worker(WELL, "Connected", "suspend-io");
  equal((await reconnect(side, "dont-care")).code, -10);
  deepEqual(side.asked, ["suspend-io 0", "resume-io 0"]);
});
