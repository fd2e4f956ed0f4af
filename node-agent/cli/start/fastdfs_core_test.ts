import assert from "node:assert/strict";
import { clientConf, fastdfsPlace } from "./fastdfs_core.ts";

Deno.test("fastdfsPlace() gives every agent an address of its own", () => {
  assert.deepEqual(fastdfsPlace("127.0.10.1", 1), {
    storage: "127.0.10.2:23000",
    tracker: "127.0.10.1:22122",
  });
  assert.deepEqual(fastdfsPlace("127.0.10.1", 2), {
    storage: "127.0.10.3:23000",
    tracker: "127.0.10.3:22122",
  });
});

Deno.test("fastdfsPlace() needs an IPv4 address with room behind it", () => {
  const wrong = ["localhost", "::1", "127.0.0", "127.0.10.254", ""];
  for (const base of wrong) assert.equal(fastdfsPlace(base, 1), undefined);
  assert.notEqual(fastdfsPlace("127.0.10.1", 253), undefined);
  assert.equal(fastdfsPlace("127.0.10.1", 254), undefined);
});

Deno.test("clientConf() names every tracker", () => {
  const conf = clientConf(["127.0.10.1:22122", "127.0.10.3:22122"], "/srv/k");
  assert.match(conf, /^tracker_server = 127\.0\.10\.1:22122$/m);
  assert.match(conf, /^tracker_server = 127\.0\.10\.3:22122$/m);
  assert.match(conf, /^base_path = \/srv\/k$/m);
});
