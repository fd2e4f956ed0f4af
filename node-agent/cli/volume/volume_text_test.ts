import assert from "node:assert/strict";
import type { VolumeStatus } from "@kedge/schema/mirror/control-api";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import {
  resourceFixture,
  syncingFixture,
  volumeFixture,
} from "../drbdadm/testdata/status_fixture.ts";
import { healthOf } from "./health.ts";
import { causeText, nextStep } from "./next_steps.ts";
import { resText } from "./res_file.ts";
import { reportOf, resolveLines, verdictOf } from "./resolve_text.ts";
import {
  fallenLines,
  listLines,
  statusLines,
  verifiedLines,
} from "./status_text.ts";

type State = NonNullable<
  NonNullable<Parameters<typeof volumeFixture>[0]>["state"]
>;
const words = (state: State) => healthOf(volumeFixture({ state })).words;

Deno.test("how a volume is, in words", () => {
  assert.deepEqual(healthOf(volumeFixture()), {
    isWell: true,
    words: "in sync",
  });
  assert.equal(words({ connection: "SyncTarget" }), "resync from the peer");
  assert.equal(words({ connection: "WFConnection" }), "waiting for the peer");
  assert.equal(words({ connection: "StandAlone" }), "alone, by command");
  assert.match(words({ suspendedNoData: true }), /^FROZEN/);
  assert.match(words({ disk: "Diskless" }), /no disk here/);
  assert.equal(
    words({ peerDisk: "Outdated" }),
    "UpToDate here, Outdated there",
  );
  const split = volumeFixture({
    generations: ["A1", "B0", "0000", "0000"],
    state: { connection: "StandAlone" },
  });
  assert.equal(healthOf(split).words, "ALONE: perhaps a split brain");
});

Deno.test("a resource that died is told of", () => {
  const running = { version: "1", pid: 1, resources: [] };
  assert.deepEqual(fallenLines(running), [], "an older daemon says nothing");
  const fallen = [{ resource: "data", why: "its Worker died (a bug)" }];
  assert.deepEqual(fallenLines({ ...running, fallen }), [
    "data  DOWN: its Worker died (a bug)",
  ]);
});

Deno.test("who stands alone for a reason is told it", () => {
  const alone = (aloneWhy: string) =>
    healthOf(
      volumeFixture({ aloneWhy, state: { connection: "StandAlone" } }),
    );
  const secret = alone("The peer does not prove the shared secret");
  assert.equal(secret.words, "ALONE: the peer is not connected to");
  assert.match(secret.next ?? "", /shared secret; then .*volume connect NAME/);
  const split = alone("Split-Brain detected but unresolved, dropping");
  assert.equal(split.words, "ALONE: split brain");
  assert.match(split.next ?? "", /volume resolve NAME/);
});

Deno.test("frozen I/O says what it waits for, and what ends that", () => {
  const fencing = healthOf(
    volumeFixture({ state: { suspendedFencing: true } }),
  );
  assert.match(fencing.words, /^FROZEN: the peer is gone, and not known/);
  assert.match(fencing.next ?? "", /fence-peer.*resume-io NAME/);
  const register = healthOf(volumeFixture({ waitsForRegister: true }));
  assert.match(register.words, /^FROZEN: .*register/);
  assert.match(register.next ?? "", /tracker or the peer/);
  const refused = healthOf(volumeFixture({
    aloneWhy: "The peer's data is not known to be what was seen",
    state: { suspendedNoData: true, connection: "StandAlone" },
  }));
  assert.match(refused.words, /^FROZEN: no good copy/);
  assert.match(
    refused.next ?? "",
    /^The peer's data .*resume-io NAME.*demote NAME/,
  );
});

Deno.test("what is not well has a next step in kedge volume status", () => {
  const told = (volume: Parameters<typeof volumeFixture>[0]) =>
    statusLines(resourceFixture(volumeFixture(volume))).join("\n");
  const next = (state: State) => / {2}next +(.*)/.exec(told({ state }))?.[1];
  assert.equal(next({}), undefined);
  assert.equal(
    next({ connection: "StandAlone" }),
    '"kedge volume connect mysql"',
  );
  assert.match(next({ disk: "Diskless" }) ?? "", /drbdadm attach mysql/);
  assert.match(next({ suspendedByUser: true }) ?? "", /resume-io mysql/);
  const never = { disk: "Inconsistent", peerDisk: "Inconsistent" } as const;
  assert.match(next(never) ?? "", /promote mysql --force/);
  const different = volumeFixture({ outOfSyncBytes: 4096 });
  assert.equal(healthOf(different).isWell, false, "verify found something");
  assert.match(
    told({ outOfSyncBytes: 4096 }),
    /DIFFERENT[^]*next .*disconnect mysql && kedge volume connect mysql/,
  );
});

Deno.test("the way out of a split brain is as the hosts are: mounted, waiting", () => {
  const report = (connection: string, mounted?: string) =>
    reportOf(
      resourceFixture(volumeFixture({
        generations: ["A1", "B0", "00", "00"],
        state: { connection: connection as "StandAlone" },
      })),
      () => mounted,
    );
  const here = report("StandAlone", "/mnt/db");
  const there = { ...report("WFConnection"), host: "ha-node2" };
  there.volumes = there.volumes.map((each) => ({
    ...each,
    generations: ["C1", "B0", "00", "00"],
  }));
  const text = resolveLines(here, "ha-node2", there).join("\n");
  assert.match(
    text,
    /on ha-node1: {2}umount \/mnt\/db && drbdadm secondary mysql && drbdadm connect --disc/,
  );
  assert.match(text, /on ha-node2: {2}nothing, it waits for ha-node1 already/);
  assert.match(
    text,
    /on ha-node2: .* && drbdadm disconnect mysql && drbdadm connect --disc/,
  );
});

Deno.test("kedge volume status tells what a former Primary has lost", () => {
  const of = (discarded: VolumeStatus["discarded"]) => {
    const volume = { ...volumeFixture(), discarded };
    return statusLines(resourceFixture(volume)).find((line) =>
      line.startsWith("  lost ")
    );
  };
  assert.equal(of(undefined), undefined);
  assert.equal(
    of({ blocks: 1, isWhole: true }), // given up by a command
    "  lost     at most 4 KB that the peer had not confirmed; " +
      '"kedge volume undo mysql" lists what is kept',
  );
  assert.equal(
    of({ blocks: 0, isWhole: true }),
    "  lost     nothing of what the peer had not confirmed",
  );
  assert.equal(
    of({ blocks: 3, keptIn: "/u/x.undo", isWhole: false }),
    "  lost     at most 12 KB that the peer had not confirmed; kept in " +
      "/u/x.undo; so far, the resync goes on",
  );
  assert.equal(
    of({
      blocks: 3,
      keptIn: "/u/x.undo",
      keptBlocks: 1,
      isWhole: true,
      atMs: 1_000,
    }),
    "  lost     at most 12 KB that the peer had not confirmed, " +
      "1970-01-01T00:00:01Z; only 4 KB kept in /u/x.undo (said until that " +
      "file is removed)",
  );
});

Deno.test("the end of a verify says what was found", () => {
  const said = (volume: Parameters<typeof volumeFixture>[0]) =>
    verifiedLines(resourceFixture(volumeFixture(volume))).join();
  assert.equal(said({}), "mysql: compared, both copies are equal");
  assert.match(said({ outOfSyncBytes: 8192 }), /compared, 8 KB are DIFFERENT/);
  const cut = { connection: "WFConnection" } as const;
  assert.match(said({ state: cut }), /not compared to the end.*WFConnection/);
});

Deno.test("kedge volume status and list as text", () => {
  const resource = resourceFixture(syncingFixture());
  assert.equal(
    statusLines(resource).join("\n"),
    `mysql  Secondary, resync from the peer
  here     ha-node1  192.168.8.51:7789  Inconsistent  /dev/data/mysql
  peer     ha-node2  192.168.8.52:7789  UpToDate  Primary  SyncTarget
  size     2 GB, protocol C
  device   /dev/drbd1 (made on promotion)
  traffic  sent 1000 KB, received 2 KB, written 1000 KB
  differs  979 MB
  resync   ███████████████··············· 52.3 %  1 GB of 2 GB  26 MB/s  0:37 left
`,
  );
  assert.equal(
    listLines([resource], undefined).join("\n"),
    `VOLUME  ROLE       STATE                 SIZE  DIFFERS  PEER      DEVICE
mysql   Secondary  resync from the peer  2 GB   979 MB  ha-node2  -`,
  );
});

const GENERATIONS = {
  common: "00000000000000B0",
  ours: "00000000000000A1",
  theirs: "00000000000000C1",
  none: "0000000000000000",
};

function side(generations: readonly string[], connection = "StandAlone") {
  return reportOf(resourceFixture(volumeFixture({
    generations: [...generations],
    outOfSyncBytes: 102_400,
    written: {
      fromMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      untilMs: Date.UTC(2026, 0, 2, 4, 0, 0, 7),
    },
    state: { connection },
  })));
}

Deno.test("who has to give up: both wrote, one wrote, nobody wrote", () => {
  const { common, ours, theirs, none } = GENERATIONS;
  const here = side([ours, common, none, none]);
  const split = side([theirs, common, none, none]);
  assert.equal(verdictOf(here, split), "split");
  assert.equal(verdictOf(here, side([common, none, none, none])), "one-sided");
  assert.equal(
    verdictOf(here, side(["00000000000000A0", common, none, none])),
    "same",
  );
  assert.equal(verdictOf(here, undefined), "unknown");
  assert.equal(
    verdictOf(side([ours, common], "Connected"), split),
    "connected",
  );
});

Deno.test("a split brain is told with the two exact commands of each way out", () => {
  const { common, ours, theirs, none } = GENERATIONS;
  const there = { ...side([theirs, common, none, none]), host: "ha-node2" };
  const text = resolveLines(
    side([ours, common, none, none]),
    "ha-node2",
    there,
  ).join("\n");
  assert.match(text, /at most 100 KB \(25 blocks of 4 KiB\) of 2 GB/);
  assert.match(
    text,
    /first write 2026-01-02T03:04:05Z, last 2026-01-02T04:00:00Z/,
  );
  assert.match(text, /^SPLIT BRAIN: both sides wrote/m);
  const choices = [
    ["this host", "ha-node2", "ha-node1"],
    ["ha-node2", "ha-node1", "ha-node2"],
  ];
  for (const [kept, loser, winner] of choices) {
    const choice = `Keep the data of ${kept}:
  on ${loser}:  drbdadm secondary mysql && drbdadm connect --discard-my-data mysql
  on ${winner}:  drbdadm connect mysql`;
    assert(text.includes(choice), text);
  }
});

Deno.test("the file that create writes is what drbdadm reads", () => {
  const text = resText({
    name: "db",
    minor: 3,
    protocol: "B",
    verifyAlg: "sha256",
    secret: "s".repeat(64),
    sides: [
      {
        host: "a",
        disk: "/srv/my disk",
        address: { hostname: "10.0.0.1", port: 7789 },
      },
      {
        host: "b",
        disk: "/srv/b",
        address: { hostname: "fd00::2", port: 7789 },
      },
    ],
  });
  const config = resolveResource(parseDrbdText(text, { strict: true }), {
    host: "b",
    resourceName: "db",
  });
  assert.equal(config.peers[0]?.net.protocol, "B");
  assert.equal(config.peers[0]?.net.sharedSecret, "s".repeat(64));
  assert.equal(config.volumes[0].disk, "/srv/b");
  assert.equal(config.self.address?.ip, "fd00::2");
});

Deno.test("refusals name the cause and what to do", () => {
  assert.equal(
    causeText("db", { code: -12, why: "mounted on /mnt" }),
    "db: Device is held open by someone [-12] (mounted on /mnt)",
  );
  assert.equal(
    causeText("db", { code: 20, why: "no Worker" }),
    "db: no Worker",
  );
  assert.match(nextStep("db", -1) ?? "", /"kedge volume demote db"/);
});
