import assert from "node:assert/strict";
import { problems, read } from "./conf_fixture.ts";
import { problemText, readConfText } from "./text.ts";

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
