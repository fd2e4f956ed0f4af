import assert from "node:assert/strict";
import { isHeldBack } from "./helpers.ts";

Deno.test("a handler that would restart the host is held back", () => {
  const usual = "/usr/lib/drbd/notify-pri-on-incon-degr.sh; " +
    "echo b > /proc/sysrq-trigger ; reboot -f";
  assert.ok(isHeldBack(usual));
  assert.ok(isHeldBack("/sbin/poweroff"));
});

Deno.test("other handlers are run", () => {
  assert.ok(!isHeldBack("/usr/lib/drbd/notify-split-brain.sh root"));
});
