import assert from "node:assert/strict";
import { agentSettings, readAgentConfig } from "./agent.ts";

Deno.test("readAgentConfig() needs nothing for a first try", () => {
  const config = readAgentConfig({ flags: {}, env: {} });
  assert.deepEqual(config.listen, { hostname: "127.0.0.1", port: 8081 });
  assert.deepEqual(config.storePaths, ["./kedge-data/node/store"]);
  assert.deepEqual(config.reserve, { kind: "bytes", bytes: 1024 ** 3 });
  assert.deepEqual(config.syncWindow, { startMinute: 0, endMinute: 1439 });
  assert.equal(config.scrubIntervalMs, 7 * 86_400_000);
  assert.equal(config.tls, undefined);
});

Deno.test("readAgentConfig() lets flags win over the environment over the file", () => {
  const config = readAgentConfig({
    flags: { upload_priority: "1", store_paths: ["/a", "/b"] },
    env: {
      KEDGE_UPLOAD_PRIORITY: "2",
      KEDGE_SUBDIR_COUNT_PER_PATH: "16",
      KEDGE_TRACKER: "http://a:1/, http://b:2",
      KEDGE_API_KEY: "not a setting of the agent",
    },
    file: { upload_priority: 3, subdir_count_per_path: 4, data: "/srv/x" },
  });
  assert.equal(config.uploadPriority, 1);
  assert.equal(config.subdirCountPerPath, 16);
  assert.equal(config.dataDir, "/srv/x");
  assert.deepEqual(config.trackers, ["http://a:1", "http://b:2"]);
  assert.deepEqual(config.storePaths, ["/a", "/b"]);
});

Deno.test("readAgentConfig() names every mistake at once", () => {
  assert.throws(
    () =>
      readAgentConfig({
        flags: { listen: "nowhere", upload_priority: "-1", ack_timeout: "x" },
        env: { KEDGE_TRACKER: "localhost", KEDGE_SYNC_START_TIME: "25:00" },
        file: { uplaod_priority: 1 },
      }),
    (error: Error) => {
      for (
        const name of [
          "listen",
          "upload_priority",
          "ack_timeout",
          "tracker",
          "sync_start_time",
          "uplaod_priority: no such setting",
        ]
      ) assert.match(error.message, new RegExp(`^  ${name}`, "m"));
      return true;
    },
  );
});

Deno.test("readAgentConfig() refuses settings that contradict each other", () => {
  assert.throws(
    () =>
      readAgentConfig({
        flags: {
          tls_cert: "cert.pem",
          listen: ":8081",
          peer_listen: "0.0.0.0:9081",
          store_paths: ["/a", "/a"],
        },
        env: {},
      }),
    /tls_key[^]*advertise[^]*peer_advertise[^]*store_paths/,
  );
});

Deno.test("agentSettings() describes every setting and hides the secret's flag", () => {
  const settings = agentSettings();
  assert(settings.length > 20);
  for (const { name, description } of settings) {
    assert(description.length > 10, `${name} has no description`);
  }
  const byName = new Map(settings.map((setting) => [setting.name, setting]));
  assert.equal(byName.get("join_token")?.flag, undefined);
  assert.equal(byName.get("upload_priority")?.flag, "--upload-priority");
  assert.equal(byName.get("upload_priority")?.fallback, "10");
  assert.equal(byName.get("listen")?.fallback, "127.0.0.1:8081");
});
