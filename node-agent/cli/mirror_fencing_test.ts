import { deepEqual, equal, throws } from "node:assert/strict";
import { fencingEnv, fencingOf } from "./mirror_fencing.ts";

const hostname = "alfa";

Deno.test("without a tracker the two nodes decide alone", () => {
  equal(fencingOf({}, { env: {}, hostname }), undefined);
});

Deno.test("a tracker switches fencing on, unless it is switched off", () => {
  const env = { KEDGE_MIRROR_TRACKERS: "http://t1:1, http://t2:2" };
  const fencing = fencingOf({ "token-file": "/t" }, { env, hostname });
  deepEqual(fencing, {
    trackers: ["http://t1:1", "http://t2:2"],
    folder: "/var/lib/kedge",
    name: "alfa",
    tokenFile: "/t",
    caFile: undefined,
    autoPromote: "off",
  });
  equal(fencingOf({ fencing: "off" }, { env, hostname }), undefined);
});

Deno.test("options win over the environment", () => {
  const env = {
    KEDGE_MIRROR_TRACKERS: "http://t1:1",
    KEDGE_MIRROR_IDENTITY_DIR: "/from-env",
  };
  const values = { tracker: "http://t2:2", "identity-dir": "/typed" };
  const fencing = fencingOf(values, { env, hostname });
  deepEqual([fencing?.trackers, fencing?.folder], [["http://t2:2"], "/typed"]);
});

Deno.test("settings that contradict one another are refused", () => {
  const facts = { env: {}, hostname };
  throws(() => fencingOf({ fencing: "kv" }, facts), /needs --tracker/);
  throws(() => fencingOf({ tracker: "not a url" }, facts), /is no URL/);
  throws(() => fencingOf({ fencing: "maybe" }, facts), /kv or off/);
});

Deno.test("what was typed reaches a daemon in the background", () => {
  const values = { tracker: "http://t1:1", fencing: "kv", "token-file": "/t" };
  const env = fencingEnv(values);
  deepEqual(
    fencingOf({}, { env, hostname }),
    fencingOf(values, { env: {}, hostname }),
  );
});
