import assert from "node:assert/strict";
import { allowedHosts, isAllowedHost, LOOPBACK_HOSTS } from "./allow_hosts.ts";
import { readAgentConfig } from "./agent.ts";

Deno.test("allowedHosts() reads addresses, networks and ranges", () => {
  const cases: [string, string[], string[]][] = [
    ["*", ["10.0.0.1", "fd00::1"], []],
    ["10.0.1.20", ["10.0.1.20", "::ffff:10.0.1.20"], ["10.0.1.21", "::1"]],
    ["10.0.1.0/24", ["10.0.1.0", "10.0.1.255"], ["10.0.2.0", "10.0.0.255"]],
    ["10.0.1.[1-15,20]", ["10.0.1.1", "10.0.1.15", "10.0.1.20"], [
      "10.0.1.16",
      "10.0.1.0",
      "10.0.2.1",
    ]],
    ["fd00::/8", ["fd00::1", "fdff::"], ["fe80::1", "10.0.0.1"]],
    ["::1", ["::1"], ["127.0.0.1"]],
  ];
  for (const [rule, inside, outside] of cases) {
    const hosts = allowedHosts([rule]);
    for (const address of inside) {
      assert(hosts.allows(address), `${rule} ${address}`);
    }
    for (const address of outside) {
      assert(!hosts.allows(address), `${rule} ${address}`);
    }
    assert(rule === "*" || !hosts.allows("not an address"));
  }
});

Deno.test("only this machine, unless others are named", () => {
  const hosts = allowedHosts(LOOPBACK_HOSTS);
  for (
    const address of ["127.0.0.1", "127.0.10.2", "::1", "::ffff:127.0.0.1"]
  ) {
    assert(hosts.allows(address), address);
  }
  for (const address of ["128.0.0.1", "10.0.0.1", "::2"]) {
    assert(!hosts.allows(address), address);
  }
  assert(!allowedHosts([]).allows("127.0.0.1"));
});

Deno.test("isAllowedHost() refuses what is no address", () => {
  const wrong = [
    ...["", "localhost", "10.0.1", "10.0.1.256", "10.0.1.0/33", "::/129"],
    ...["10.0.1.[5-2]", "10.0.1.[]", "10.0.1.[1-256]", "10.0.[1-2].3"],
    ...["10.0.1.0/", "10.0.1.0/8/8", "10.0.1.[1", "10.0.1.[a]"],
  ];
  for (const text of wrong) {
    assert(!isAllowedHost(text), text);
    assert.throws(() => allowedHosts([text]), RangeError);
  }
});

Deno.test("the gateway is off, local and bounded unless asked otherwise", () => {
  const off = readAgentConfig({ flags: {}, env: {} });
  assert.equal(off.fastdfs, undefined);
  const on = readAgentConfig({ flags: { fastdfs: true }, env: {} }).fastdfs;
  assert.deepEqual(on, {
    listen: { hostname: "127.0.10.2", port: 23_000 },
    trackerListen: { hostname: "127.0.10.1", port: 22_122 },
    advertise: undefined,
    allowHosts: [...LOOPBACK_HOSTS],
    isReadOnly: false,
    connectionsMax: 1024,
    lists: "6",
  });
  const env = {
    KEDGE_FASTDFS: "yes",
    KEDGE_FASTDFS_ALLOW_HOSTS: "10.0.1.[1-15,20], 10.9.0.0/16",
    KEDGE_FASTDFS_READ_ONLY: "on",
  };
  const given = readAgentConfig({ flags: {}, env }).fastdfs;
  assert.deepEqual(given?.allowHosts, ["10.0.1.[1-15,20]", "10.9.0.0/16"]);
  assert.equal(given?.isReadOnly, true);
});

Deno.test("settings of the gateway that cannot be are named", () => {
  const refusal = (flags: Record<string, unknown>) => () =>
    readAgentConfig({ flags: { fastdfs: true, ...flags }, env: {} });
  assert.throws(
    refusal({ fastdfs_listen: "storage1:23000" }),
    /fastdfs_listen/,
  );
  assert.throws(
    refusal({ fastdfs_listen: "0.0.0.0:23000" }),
    /fastdfs_advertise/,
  );
  assert.throws(
    refusal({ fastdfs_allow_hosts: ["myhost"] }),
    /fastdfs_allow_hosts/,
  );
  assert.throws(refusal({ fastdfs: "perhaps" }), /fastdfs: must be yes or no/);
});
