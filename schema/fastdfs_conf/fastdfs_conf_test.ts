import assert from "node:assert/strict";
import fc from "fast-check";
import { agentSettings, readAgentConfig } from "../config/agent.ts";
import { parseTrackerConfig, TRACKER_SETTINGS } from "../config/tracker.ts";
import { ownAddress } from "./host_address.ts";
import { FASTDFS_KEYS, keyRow } from "./keys/tables.ts";
import { settingsOf } from "./settings.ts";
import { problemText, readConfText } from "./text.ts";
import { TUTORIAL_STORAGE, TUTORIAL_TRACKER } from "./tutorial_fixture.ts";
import { readFastdfsConf } from "./understand.ts";

const HOST = [
  { name: "lo", address: "127.0.0.1", cidr: "127.0.0.1/8" },
  { name: "docker0", address: "172.17.0.1", cidr: "172.17.0.1/16" },
  { name: "eth0", address: "192.168.209.131", cidr: "192.168.209.131/24" },
  { name: "eth1", address: "10.0.0.7", cidr: "10.0.0.7/24" },
];

function read(files: Record<string, string>) {
  return readFastdfsConf(Object.keys(files), (path) => files[path]);
}

/** The problems of one storage.conf made of these lines. */
function problems(text: string): string[] {
  return read({ "storage.conf": text }).problems.map(problemText);
}

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

Deno.test("mistakes and refusals name the line and what to do", () => {
  const table: [string, RegExp][] = [
    ["port = many", /^storage.conf:1: port = "many" cannot be; write a port/],
    ["\nport = 5 # x", /^storage.conf:2: .*comments behind a value/],
    ["check_file_duplicate = maybe", /write true or false/],
    ["port = 70000", /write a port, 1 to 65535$/],
    ["upload_priority = 1x", /^storage.conf:1: .*write a whole number$/],
    ["subdir_count_per_path = 257", /^storage.conf:1: .* 1 to 256$/],
    ["group_name = a/b", /^storage.conf:1: group_name = a\/b cannot be; mend/],
    ["sync_start_time = 24:00", /write a time of day, HH:MM/],
    ["fsync_after_written_bytes = some", /write a number of bytes/],
    ["file_distribute_path_mode = 2", /write 0, 1$/],
    ["allow_hosts = files.example.com", /names of hosts are not taken/],
    ["disabled = true", /disabled = true is not possible here; the file says/],
    ["store_path0_readonly = yes", /kedge node read-only N/],
    ["use_access_log = true", /`fastdfs_access_log` to a path/],
    ["[access-log]\nenabled = true", /^storage.conf:2: enabled = true/],
    ["upload_priority=1\nupload_priority=2", /stands at storage.conf:1 too/],
    ["#include missing.conf", /there is no file "missing.conf"; copy it/],
    ["#@if %{LOCAL_IP} in [1]", /the directive .* write out the lines/],
  ];
  for (const [text, wanted] of table) {
    const found = problems(text);
    assert.equal(found.length, 1, `${text}: ${found.join("\n")}`);
    assert.match(found[0] ?? "", wanted);
  }
});

Deno.test("what FastDFS skips is skipped and told; what asks for nothing is taken", () => {
  const text = "no key\nupload_prio = 1\nupload_priority =\n" +
    "disabled = 0\nstore_path0_readonly = off\n##include x\nupload_priority=4\nupload_priority=4";
  const { notes, problems } = read({ "storage.conf": text });
  assert.deepEqual(problems.map(problemText), []);
  assert.equal(notes.length, 2);
  assert.match(
    notes.map(problemText).join("\n"),
    /:1: "no key".*\n.*:2: upload_prio is no key/,
  );
});

Deno.test("#include reads files beside, in order, and ends", () => {
  const files: Record<string, string> = {
    "/e/storage.conf": "a=1\n#include sub/http.conf\nb=2",
    "/e/sub/http.conf": "c=3\r\n#include more.conf",
    "/e/sub/more.conf": "\uFEFF[s]\nd = 4 = 5",
    "/e/loop.conf": "#include loop.conf",
  };
  const text = readConfText("/e/storage.conf", (path) => files[path]);
  assert.deepEqual(
    text.items.map(({ file, line, section, key, value }) =>
      [file, line, section, key, value].join(" ")
    ),
    [
      "/e/storage.conf 1  a 1",
      "/e/sub/http.conf 1  c 3",
      "/e/sub/more.conf 2 s d 4 = 5",
      "/e/storage.conf 3  b 2",
    ],
  );
  const loop = readConfText("/e/loop.conf", (path) => files[path]);
  assert.match(loop.problems.map(problemText).join(), /includes itself/);
  const binary = readConfText("x", () => "a\0b");
  assert.match(binary.problems.map(problemText).join(), /no configuration/);
  assert.deepEqual(read({ "foo.conf": "a=1" }).problems.map(problemText), [
    "foo.conf: this is none of FastDFS's files; name it tracker.conf, storage.conf or client.conf",
  ]);
});

Deno.test("files that include themselves over and over are left at once", () => {
  let reads = 0;
  const text = readConfText("a", () => {
    reads++;
    return "#include a\n".repeat(50_000);
  });
  assert(reads < 100);
  assert.equal(text.problems.length, 1);
});

Deno.test("a line that may hold a secret is not shown", () => {
  const lines = "http.anti_steal.secret_key hush\nhttp.anti_steal.token_ttl=9";
  const conf = read({ "http.conf": lines });
  assert.equal(conf.notes.length, 1);
  assert(!JSON.stringify(conf).includes("hush"));
  const any = readConfText(
    "a",
    (path) => path === "a" ? "#include /etc/shadow" : "root:$6$hush:1:0",
  );
  assert.equal(any.notes.length, 1);
  assert(!JSON.stringify(any).includes("hush"), "it is no file of FastDFS");
});

Deno.test("a file is known by its keys, whatever it is called", () => {
  const kinds = (text: string, file = "copy.conf") =>
    read({ [file]: text }).files.map(({ kind }) => kind);
  assert.deepEqual(kinds("store_lookup=0"), ["tracker"]);
  assert.deepEqual(kinds("upload_priority=1"), ["storage"]);
  assert.deepEqual(kinds("group_name=group1"), ["storage"]);
  assert.deepEqual(kinds("response_mode=proxy\ngroup_name=group1"), ["mod"]);
  assert.deepEqual(kinds("tracker_server=h:1", "client.conf"), ["client"]);
  assert.deepEqual(kinds("upload_priority=1", "tracker.conf"), ["storage"]);
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
