import assert from "node:assert/strict";
import fc from "fast-check";
import { read } from "./conf_fixture.ts";
import { agentSettings, readAgentConfig } from "../config/agent.ts";
import { parseTrackerConfig, TRACKER_SETTINGS } from "../config/tracker.ts";
import { ownAddress } from "./host_address.ts";
import { FASTDFS_KEYS, keyRow } from "./keys/tables.ts";
import { settingsOf } from "./settings.ts";
import { problemText } from "./text.ts";
import { TUTORIAL_STORAGE, TUTORIAL_TRACKER } from "./tutorial_fixture.ts";

const HOST = [
  { name: "lo", address: "127.0.0.1", cidr: "127.0.0.1/8" },
  { name: "docker0", address: "172.17.0.1", cidr: "172.17.0.1/16" },
  { name: "eth0", address: "192.168.209.131", cidr: "192.168.209.131/24" },
  { name: "eth1", address: "10.0.0.7", cidr: "10.0.0.7/24" },
];

Deno.test("the tutorial's files are understood, every line of them", () => {
  const conf = read({
    "/etc/fdfs/storage.conf": TUTORIAL_STORAGE,
    "/etc/fdfs/tracker.conf": TUTORIAL_TRACKER,
  });
  assert.deepEqual(conf.problems, []);
  assert.deepEqual(conf.notes, []);
  const lines = (TUTORIAL_STORAGE + TUTORIAL_TRACKER).split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const findings = conf.files.flatMap((file) => file.findings);
  assert.equal(findings.length, lines.length);
  const { agent, tracker, problems } = settingsOf(conf, HOST);
  assert.deepEqual(problems, []);
  const config = readAgentConfig({ flags: {}, env: {}, fastdfs: agent });
  assert.equal(config.group, "group1");
  assert.equal(config.dataDir, "/home/fastdfs/storage/kedge");
  assert.deepEqual(config.storePaths, [
    "/home/fastdfs/storage",
    "/home/fastdfs/storage2",
  ]);
  assert.deepEqual(config.trackers, ["http://192.168.209.121:8080"]);
  assert.deepEqual(config.reserve, { kind: "percent", percent: 10 });
  assert.deepEqual(config.syncWindow, { startMinute: 0, endMinute: 1439 });
  assert.equal(config.advertise, "http://192.168.209.131:8081");
  assert.deepEqual(config.fastdfs, {
    listen: { hostname: "0.0.0.0", port: 23000 },
    trackerListen: { hostname: "0.0.0.0", port: 22122 },
    advertise: { hostname: "192.168.209.131", port: 23000 },
    allowHosts: ["*"],
    isReadOnly: false,
    connectionsMax: 256,
    lists: "6",
  });
  const parsed = parseTrackerConfig(tracker);
  assert(parsed.ok, JSON.stringify(parsed));
  assert.equal(parsed.config.storeLookup, "load_balance");
  assert.equal(parsed.config.storeGroup, undefined);
  assert.equal(parsed.config.kv, "/home/fastdfs/tracker/kedge/tracker.kv");
});

Deno.test("every key of FastDFS's words and units becomes the setting", () => {
  const { agent } = settingsOf(
    read({
      "storage.conf": `group_name = g
        base_path=/b/
        port = 24000
        bind_addr = 10.0.0.7
        tracker_server = [fe80::1]:22122
        upload_priority = 3
        subdir_count_per_path = 32
        file_distribute_path_mode = 1
        file_distribute_rotate_count = 7
        fsync_after_written_bytes = 4 MB
        check_file_duplicate = ON
        sync_interval = 20
        sync_start_time = 22:30
        sync_end_time = 05:00
        log_level = crit
        max_connections = 99
        allow_hosts = 10.0.1.[1-15,20]
        allow_hosts = 192.168.5.0/26`,
    }),
    HOST,
  );
  const config = readAgentConfig({ flags: {}, env: {}, fastdfs: agent });
  const { fastdfs, ...rest } = config;
  assert.deepEqual(
    {
      priority: rest.uploadPriority,
      subdirs: rest.subdirCountPerPath,
      mode: rest.distributeMode,
      count: rest.distributeRotateCount,
      fsync: rest.fsyncAfterBytes,
      duplicates: rest.checkDuplicates,
      intervalMs: rest.syncIntervalMs,
      window: rest.syncWindow,
      level: rest.logLevel,
      paths: rest.storePaths,
      trackers: rest.trackers,
      listen: rest.listen,
      advertise: rest.advertise,
    },
    {
      priority: 3,
      subdirs: 32,
      mode: "random",
      count: 7,
      fsync: 4 * 2 ** 20,
      duplicates: true,
      intervalMs: 20,
      window: { startMinute: 22 * 60 + 30, endMinute: 300 },
      level: "warn",
      paths: ["/b"],
      trackers: ["http://[fe80::1]:8080"],
      listen: { hostname: "10.0.0.7", port: 8081 },
      advertise: undefined,
    },
  );
  assert.deepEqual(fastdfs?.listen, { hostname: "10.0.0.7", port: 24000 });
  assert.equal(fastdfs?.connectionsMax, 99);
  assert.deepEqual(fastdfs?.allowHosts, [
    "10.0.1.[1-15,20]",
    "192.168.5.0/26",
  ]);
});

Deno.test("policies of tracker.conf have FastDFS's numbers", () => {
  const env = (text: string) =>
    settingsOf(read({ "tracker.conf": `store_lookup=${text}` }), []).tracker;
  const table: [string, Record<string, string>][] = [
    ["0", { KEDGE_STORE_LOOKUP: "round_robin" }],
    ["2", { KEDGE_STORE_LOOKUP: "load_balance" }],
    ["1\nstore_group=g2", {
      KEDGE_STORE_LOOKUP: "specified_group",
      KEDGE_STORE_GROUP: "g2",
    }],
    ["0\nstore_server=2\nstore_path=2\ndownload_server=1", {
      KEDGE_STORE_LOOKUP: "round_robin",
      KEDGE_STORE_SERVER: "first_by_priority",
      KEDGE_STORE_PATH: "load_balance",
      KEDGE_DOWNLOAD_SERVER: "source_first",
    }],
    ["0\nreserved_storage_space=4GB\nbind_addr=10.0.0.7,fe80::7", {
      KEDGE_LISTEN: "10.0.0.7:8080",
      KEDGE_STORE_LOOKUP: "round_robin",
      KEDGE_RESERVED_STORAGE_SPACE: String(4 * 2 ** 30),
    }],
  ];
  for (const [text, wanted] of table) {
    assert.deepEqual(env(text), { KEDGE_LISTEN: "0.0.0.0:8080", ...wanted });
  }
});

Deno.test("trunk files become packed files, as large as those can be", () => {
  const packs = (lines: string) => {
    const conf = read({
      "storage.conf": TUTORIAL_STORAGE,
      "tracker.conf": `check_active_interval = 1\n${lines}`,
    });
    assert.deepEqual(conf.problems, []);
    const { agent } = settingsOf(conf, HOST);
    return readAgentConfig({ flags: {}, env: {}, fastdfs: agent }).smallFileMax;
  };
  assert.equal(packs("slot_max_size = 4KB"), 0);
  assert.equal(packs("use_trunk_file = false\nslot_max_size = 4KB"), 0);
  assert.equal(packs("use_trunk_file = true"), 65536);
  assert.equal(packs("use_trunk_file = 1\nslot_max_size = 16MB"), 65536);
  assert.equal(packs("use_trunk_file = yes\nslot_max_size = 4KB"), 4096);
});

Deno.test("two files that contradict one another are refused", () => {
  const conf = read({
    "storage.conf": "base_path=/b\nallow_hosts=10.0.0.1",
    "tracker.conf": "allow_hosts=*",
  });
  const found = settingsOf(conf, HOST).problems.map(problemText);
  assert.match(found.join(), /^tracker.conf:1: allow_hosts is another list/);
  const noGroup = settingsOf(read({ "tracker.conf": "store_lookup=1" }), HOST)
    .problems.map(problemText);
  assert.match(noGroup.join(), /^tracker.conf:1: .*; write store_group$/);
  const many = settingsOf(
    read({ "storage.conf": "store_path_count=257\nbase_path=/a" }),
    HOST,
  ).problems.map(problemText);
  assert.match(many.join(), /^storage.conf:1: .*write 1 to 256$/);
  const short = settingsOf(
    read({ "storage.conf": "store_path_count=2\nstore_path0=/a" }),
    HOST,
  ).problems.map(problemText);
  assert.match(short.join(), /^storage.conf:1: store_path1 is missing; write/);
});

Deno.test("tokens become settings together, and no message has the secret", () => {
  const tokens = (storage: string, http = "") => {
    const conf = read({
      "storage.conf": `base_path=/b\n#include http.conf\n${storage}`,
      "http.conf": http,
      "client.conf": "#include http.conf\ntracker_server=t:22122",
    });
    const { agent, problems } = settingsOf(conf, HOST);
    const texts = [...conf.problems, ...problems].map(problemText);
    assert(!texts.join().includes("S3cret"));
    const found = conf.files.flatMap(({ findings }) => findings);
    assert(!found.some(({ written }) => written.includes("S3cret")));
    return { agent, texts };
  };
  const http = "http.anti_steal.check_token=true\n" +
    "http.anti_steal.token_ttl=600\nhttp.anti_steal.secret_key=S3cret";
  const { agent, texts } = tokens("", http);
  assert.deepEqual(texts, []);
  const config = readAgentConfig({ flags: {}, env: {}, fastdfs: agent });
  assert.deepEqual(config.downloads?.schemes, { signed: false, fastdfs: true });
  assert.equal(config.downloads?.ttlS, 600);
  assert.equal(config.downloads?.keysText, "fastdfs S3cret");
  const other = readAgentConfig({
    flags: { download_keys_file: "/k" },
    env: {},
    fastdfs: agent,
  });
  assert.equal(other.downloads?.keysText, undefined);
  assert.equal(
    tokens("", http.replace("true", "false")).agent.download_keys,
    undefined,
  );
  const check = "http.anti_steal.check_token=1";
  assert.match(
    tokens(check).texts.join(),
    /^storage.conf:3: .*; write http.anti/,
  );
  const spaced = `${check}\nhttp.anti_steal.secret_key=S3cret S3cret`;
  assert.match(tokens(spaced).texts.join(), /^storage.conf:4: .*has spaces/);
});

Deno.test("if_alias_prefix chooses the address; else the tracker's network", () => {
  const toward = "192.168.209.121";
  const own = (prefix: string | undefined, tracker?: string) =>
    ownAddress(HOST, { prefix, toward: tracker });
  assert.equal(own("eth1", toward), "10.0.0.7");
  assert.equal(own(undefined, toward), "192.168.209.131");
  assert.equal(own(undefined, "tracker.example"), "172.17.0.1");
  assert.equal(own("bond", toward), "192.168.209.131");
  const { agent, hints } = settingsOf(
    read({ "storage.conf": "base_path=/b\nif_alias_prefix=bond" }),
    HOST,
  );
  assert.match(hints.join(), /No interface of this host begins with "bond"/);
  assert.equal(agent.fastdfs_advertise, "172.17.0.1:23000");
  assert.equal(own(undefined, "127.0.10.1"), "172.17.0.1");
});

Deno.test("every row of the table can be found, and its settings exist", () => {
  const agent = new Set(agentSettings().map(({ name }) => name));
  const tracker = new Set(
    Object.values(TRACKER_SETTINGS).map(({ env }): string => env),
  );
  for (const row of FASTDFS_KEYS) {
    for (const kind of row.in) {
      const found = keyRow(kind, row.key.replace("#", "0"), row.section ?? "");
      assert.equal(found, row, `${row.key} of ${kind} stands twice`);
    }
    for (const target of row.to ?? []) {
      const isKnown = "agent" in target
        ? agent.has(target.agent)
        : tracker.has(target.tracker);
      assert(isKnown, `${row.key}: ${JSON.stringify(target)}`);
    }
    const isTold = row.fate === "mapped"
      ? row.to !== undefined || row.becomes !== undefined
      : row.say !== "";
    assert(isTold, row.key);
  }
});

Deno.test("whatever stands in a file, it is read without a failure", () => {
  const key = fc.constantFrom(...FASTDFS_KEYS.map((row) => row.key));
  const usual = fc.constantFrom(
    ...["0", "1", "2", "yes", "10%", "4MB", "127.0.0.1", "::1", "/a", "22:10"],
  );
  const line = fc.oneof(
    fc.tuple(key, fc.oneof(usual, fc.string({ maxLength: 30 }))).map((
      [name, value],
    ) => `${name.replace("#", "0")}=${value}`),
    fc.string({ maxLength: 40 }),
    fc.constantFrom("#include storage.conf", "[access-log]", "[", "="),
  );
  fc.assert(fc.property(
    fc.array(line, { maxLength: 20 }),
    fc.constantFrom("storage.conf", "tracker.conf", "client.conf", "x"),
    (lines, name) => {
      const conf = read({ [name]: lines.join("\n") });
      const { agent, tracker, problems } = settingsOf(conf, HOST);
      if (conf.problems.length + problems.length > 0) return;
      // What is not refused with its line is taken by agent and tracker.
      if (name === "storage.conf") {
        readAgentConfig({ flags: {}, env: {}, fastdfs: agent });
      }
      const parsed = parseTrackerConfig(tracker);
      assert(parsed.ok, JSON.stringify(parsed));
    },
  ));
});
