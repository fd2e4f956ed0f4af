import assert from "node:assert/strict";
import { parseTrackerConfig, TRACKER_SETTINGS } from "./tracker.ts";

Deno.test("parseTrackerConfig() of nothing gives the documented defaults", () => {
  const parsed = parseTrackerConfig({});
  assert(parsed.ok);
  const { config } = parsed;
  assert.equal(config.access, "key");
  assert.deepEqual(config.listen, { hostname: "127.0.0.1", port: 8080 });
  assert.deepEqual(config.reservedSpace, { kind: "bytes", bytes: 2 ** 30 });
  assert.equal(config.checkActiveIntervalMs, 4 * config.heartbeatMs);
  assert.equal(config.kv, undefined);
});

Deno.test("an empty variable counts as missing", () => {
  const parsed = parseTrackerConfig({ KEDGE_KV: "", KEDGE_ACCESS: "" });
  assert(parsed.ok);
  assert.equal(parsed.config.access, "key");
});

Deno.test("FastDFS's spellings of reserved_storage_space are understood", () => {
  const reserve = (text: string) => {
    const parsed = parseTrackerConfig({ KEDGE_RESERVED_STORAGE_SPACE: text });
    return parsed.ok ? parsed.config.reservedSpace : undefined;
  };
  assert.deepEqual(reserve("1024MB"), { kind: "bytes", bytes: 2 ** 30 });
  assert.deepEqual(reserve("20.00%"), { kind: "percent", percent: 20 });
  assert.equal(reserve("20 per cent"), undefined);
  assert.equal(reserve("-1"), undefined);
});

Deno.test("every setting is checked, and its mistake names its variable", () => {
  const bad: Record<string, string> = {
    KEDGE_LISTEN: "nowhere",
    KEDGE_ADMIN_KEY: "short",
    KEDGE_ACCESS: "x",
    KEDGE_STORE_LOOKUP: "x",
    KEDGE_STORE_GROUP: "no group!",
    KEDGE_STORE_SERVER: "x",
    KEDGE_STORE_PATH: "x",
    KEDGE_DOWNLOAD_SERVER: "x",
    KEDGE_RESERVED_STORAGE_SPACE: "x",
    KEDGE_HEARTBEAT_MS: "1.5",
    KEDGE_CHECK_ACTIVE_INTERVAL_MS: "-1",
    KEDGE_CAPABILITY_LIFE_MS: "900001",
    KEDGE_SIGNING_KEY_LIFE_MS: "1",
    KEDGE_REQUEST_LOG: "x",
  };
  const parsed = parseTrackerConfig(bad);
  assert(!parsed.ok);
  const named = parsed.mistakes.map((mistake) => mistake.split(":")[0]);
  assert.deepEqual(named, Object.keys(bad));
  // The others are free text: any value is a path or a URL.
  const free = ["KEDGE_TLS_CERT", "KEDGE_TLS_KEY", "KEDGE_KV"];
  const all = [...Object.keys(bad), ...free, "KEDGE_ADMIN_KEY_FILE"].sort();
  const known = Object.values(TRACKER_SETTINGS).map(({ env }) => env).sort();
  assert.deepEqual(all, known);
});

Deno.test("settings that contradict each other are mistakes", () => {
  const contradictions: Record<string, string>[] = [
    { KEDGE_HEARTBEAT_MS: "3000", KEDGE_CHECK_ACTIVE_INTERVAL_MS: "5000" },
    { KEDGE_STORE_LOOKUP: "specified_group" },
    { KEDGE_ADMIN_KEY: "x".repeat(32), KEDGE_ADMIN_KEY_FILE: "/x" },
    { KEDGE_TLS_CERT: "/x" },
    { KEDGE_TLS_KEY: "/x" },
  ];
  for (const env of contradictions) {
    const parsed = parseTrackerConfig(env);
    assert(!parsed.ok, JSON.stringify(env));
    assert.equal(parsed.mistakes.length, 1);
  }
});

Deno.test("a mistake never repeats the value of a secret", () => {
  const parsed = parseTrackerConfig({ KEDGE_ADMIN_KEY: "hunter2" });
  assert(!parsed.ok && !parsed.mistakes.join().includes("hunter2"));
});
