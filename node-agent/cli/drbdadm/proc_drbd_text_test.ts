import assert from "node:assert/strict";
import { procDrbd, progressText, timeText } from "./proc_drbd_text.ts";
import {
  statusFixture,
  syncingFixture,
  volumeFixture,
} from "./testdata/status_fixture.ts";

const HEAD = `version: 8.4.11 (api:1/proto:86-101)
GIT-hash: kedge 0.1.0
`;
const text = (...volumes: readonly ReturnType<typeof volumeFixture>[]) =>
  procDrbd(statusFixture(...volumes)).join("\n");

Deno.test("/proc/drbd of a volume in sync", () => {
  assert.equal(
    text(volumeFixture()),
    HEAD + ` 1: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
    ns:1000 nr:2 dw:1000 dr:664 al:3 bm:129 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0`,
  );
});

Deno.test("/proc/drbd of a resync: bar, speed, want", () => {
  assert.equal(
    text(syncingFixture()),
    HEAD +
      ` 1: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----
    ns:1000 nr:2 dw:1000 dr:664 al:3 bm:129 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:1003000
\t[=========>..........] sync'ed: 52.3% (1003000/2103412)K
\tfinish: 0:00:37 speed: 26,792 (27,077) want: 102,400 K/sec`,
  );
});

Deno.test("/proc/drbd: a source wants nothing, a paused resync shows no bar", () => {
  const source = text(syncingFixture({ state: { connection: "SyncSource" } }));
  assert.match(source, /speed: 26,792 \(27,077\) K\/sec$/);
  const paused = syncingFixture({
    state: { connection: "PausedSyncT", pausedByUser: true },
  });
  assert.match(text(paused), /cs:PausedSyncT .* C r--u--\n.*oos:1003000$/);
});

Deno.test("/proc/drbd: no letter without a network, nothing of an empty minor", () => {
  const state = {
    connection: "StandAlone",
    peerRole: "Unknown",
    peerDisk: "DUnknown",
  } as const;
  assert.match(
    text(volumeFixture({ state })),
    /^ 1: cs:StandAlone ro:Primary\/Unknown ds:UpToDate\/DUnknown {3}r-----$/m,
  );
  const empty = { ...state, disk: "Diskless", role: "Secondary" };
  assert.equal(
    text(volumeFixture({ state: empty })),
    `${HEAD} 1: cs:Unconfigured`,
  );
});

Deno.test("/proc/drbd: minors in order, an empty line where one is missing", () => {
  const lines = text(
    volumeFixture({ minor: 10 }),
    volumeFixture({ minor: 1 }),
    volumeFixture({ minor: 2 }),
  ).split("\n").map((line) => line.slice(0, 3));
  assert.deepEqual(lines.slice(2), [
    " 1:",
    "   ",
    " 2:",
    "   ",
    "",
    "10:",
    "   ",
  ]);
});

Deno.test("/proc/drbd: every flag has its place", () => {
  const flags = (
    state: NonNullable<Parameters<typeof volumeFixture>[0]>["state"],
  ) =>
    /C (\S+)$/m.exec(text(volumeFixture(state === undefined ? {} : { state })))
      ?.[1];
  assert.equal(flags({}), "r-----");
  assert.equal(flags({ suspendedByUser: true }), "s-----");
  assert.equal(flags({ suspendedFencing: true }), "s-----");
  assert.equal(flags({ pausedByDependency: true }), "ra----");
  assert.equal(flags({ pausedByPeer: true, pausedByUser: true }), "r-pu--");
});

Deno.test("the bar from nothing to everything; MiB above 4 GiB", () => {
  const at = (left: number, totalKib = 1000) =>
    progressText({
      kind: "resync",
      totalBytes: totalKib * 1024,
      leftBytes: left * 1024,
      elapsedMs: 1,
      bytesPerSecond: 1,
    });
  assert.equal(at(1000), "[>....................] sync'ed:  0.0% (1000/1000)K");
  assert.equal(at(950), "[>...................] sync'ed:  5.0% (950/1000)K");
  assert.equal(at(0), "[===================>] sync'ed:100.0% (0/1000)K");
  assert.match(at(0, 5 * 1024 * 1024), /\(0\/5120\)M$/);
});

Deno.test("times as hours, minutes, seconds", () => {
  assert.equal(timeText(0), "0:00:00");
  assert.equal(timeText(3661), "1:01:01");
  assert.equal(timeText(100 * 3600), "100:00:00");
});
