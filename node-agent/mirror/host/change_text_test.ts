/** Changes of state read as DRBD's kernel log has them. */

import assert from "node:assert/strict";
import {
  type MirrorState,
  UNCONFIGURED_STATE,
} from "../decisions/mirror_state.ts";
import { changeText } from "./change_text_core.ts";

const STATE: MirrorState = {
  ...UNCONFIGURED_STATE,
  connection: "WFConnection",
  disk: "Inconsistent",
};

Deno.test("a change is told in DRBD's words and order", () => {
  const promoted = { ...STATE, role: "Primary", disk: "UpToDate" } as const;
  assert.equal(
    changeText(STATE, promoted),
    "role( Secondary -> Primary ) disk( Inconsistent -> UpToDate )",
  );
  assert.equal(
    changeText(STATE, { ...STATE, connection: "Disconnecting" }),
    "conn( WFConnection -> Disconnecting )",
  );
  assert.equal(
    changeText(STATE, { ...STATE, suspendedByUser: true, pausedByPeer: true }),
    "susp( 0 -> 1 ) peer_isp( 0 -> 1 )",
  );
  assert.equal(changeText(STATE, STATE), "");
});
