import { deepEqual } from "node:assert/strict";
import type { GreetingOptions } from "@kedge/schema/mirror/pending-options";
import { GreetedOptions } from "./greeted_options.ts";

const OPTIONS: GreetingOptions = {
  protocol: "C",
  sharedSecret: "old",
  cramHmacAlg: "sha256",
  dataIntegrityAlg: undefined,
};

const volume = (connection: string, number = 0) => ({
  volume: number,
  state: { connection },
});

Deno.test("what a connection was not made with is pending until the next one", () => {
  const greeted = new GreetedOptions(OPTIONS);
  deepEqual(greeted.pending, []);
  const next = { ...OPTIONS, sharedSecret: "new", dataIntegrityAlg: "md5" };
  greeted.change(next, [volume("SyncSource")]);
  deepEqual(greeted.pending, ["shared-secret", "data-integrity-alg"]);
  greeted.moved(volume("Connected"));
  deepEqual(greeted.pending, ["shared-secret", "data-integrity-alg"]);
  greeted.moved(volume("WFConnection"));
  deepEqual(greeted.pending, []);
  greeted.moved(volume("Connected"));
  deepEqual(greeted.pending, []);
});

Deno.test("what is taken back is not pending, however often it changed", () => {
  const greeted = new GreetedOptions(OPTIONS);
  const here = [volume("Connected")];
  greeted.change({ ...OPTIONS, protocol: "A" }, here);
  deepEqual(greeted.pending, ["protocol"]);
  greeted.change({ ...OPTIONS, protocol: "A", cramHmacAlg: "md5" }, here);
  deepEqual(greeted.pending, ["protocol", "cram-hmac-alg"]);
  greeted.change(OPTIONS, here);
  deepEqual(greeted.pending, []);
  // Away from A counts at once, and back to it does not.
  const fast = new GreetedOptions({ ...OPTIONS, protocol: "A" });
  fast.change({ ...OPTIONS, protocol: "B" }, here);
  deepEqual(fast.pending, []);
  fast.change({ ...OPTIONS, protocol: "A" }, here);
  deepEqual(fast.pending, ["protocol"]);
});

Deno.test("without a connection nothing is pending; each volume has its own", () => {
  const greeted = new GreetedOptions(OPTIONS);
  const next = { ...OPTIONS, sharedSecret: undefined };
  greeted.change(next, [volume("StandAlone", 0), volume("Connected", 1)]);
  deepEqual(greeted.pending, ["shared-secret"]);
  greeted.moved(volume("Unconnected", 0));
  deepEqual(greeted.pending, ["shared-secret"]);
  greeted.moved(volume("Unconnected", 1));
  deepEqual(greeted.pending, []);
});
