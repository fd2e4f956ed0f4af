/**
 * As `store_child.ts`, with bodies that are written into their files at once
 * (`node-agent/files/early_files.ts`). Arguments: folder, scenario.
 *
 * Further lines have the state `early` once such a file was seen, `flushing:N`
 * and `flushed:N` around the n-th flush, and `open:PATH` for each file or folder
 * of a store path that is open.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { Problem } from "@kedge/schema";
import { someBytes, TestStore } from "../../node-agent/files/store_fixture.ts";
import { arm, peerOf, say, tell, tryUpload } from "./store_child.ts";

const [dir = "", scenario = ""] = Deno.args;
/** Answered without a flush, as an upload of FastDFS is. */
const OWN = { durable: false, inRecord: true };

/** Say so if the quick log names a file, or did before it was begun anew. */
function tellEarly(): void {
  const bytes = Deno.readFileSync(`${dir}/data/quick.log`);
  const isThere = new TextDecoder("latin1").decode(bytes).includes("early-");
  if (isThere) say({ what: "state", slug: "early" });
}

/** What a peer sends, without a flush. */
function peer(store: TestStore): (...all: Uint8Array[]) => Promise<void> {
  const { apply, entryOf } = peerOf(store, false);
  return (...all) =>
    apply(all.map((bytes) => ({
      change: { entry: entryOf(bytes), body: { kind: "whole" } },
      content: { kind: "inline", bytes },
    })));
}

/** Flush, and say when it began and ended. */
async function flush(store: TestStore, number: number): Promise<void> {
  say({ what: "state", slug: `flushing:${number}` });
  await store.store.log.flush();
  say({ what: "state", slug: `flushed:${number}` });
}

/** All sizes, ours and a peer's, with durable ones and changes in between. */
async function early(store: TestStore): Promise<void> {
  const fromPeer = peer(store);
  await store.upload(someBytes(20_000, 1), OWN);
  const second = await store.upload(someBytes(100_000, 2), OWN);
  await store.upload(someBytes(700, 3), OWN);
  await fromPeer(someBytes(900, 4), someBytes(30_000, 5), someBytes(200_000));
  await store.upload(someBytes(4000, 6));
  await store.upload(someBytes(256 << 10, 7), OWN);
  await store.delete(second);
  await fromPeer(someBytes(50_000, 8));
  const how = { ...OWN, appender: true };
  const file = await store.upload(someBytes(40_000, 9), how);
  const longer = await store.write(file, 40_000, someBytes(500, 10), false);
  await store.truncate(longer, 20_000);
  await store.upload(someBytes(16 << 10, 11), OWN);
  tellEarly();
}

/** Many at once; some are flushed, nothing settles. */
async function earlyPower(store: TestStore): Promise<void> {
  const fromPeer = peer(store);
  const client = async (number: number) => {
    for (let round = 0; round < 5; round++) {
      const seed = number * 100 + round;
      await store.upload(someBytes(30_000 + seed, seed), OWN);
      const gone = await store.upload(someBytes(90_000 + seed, seed + 1), OWN);
      await store.upload(someBytes(1000 + seed, seed + 2), OWN);
      await store.upload(someBytes(17_000 + seed, seed + 3), OWN);
      if (round === number) await store.delete(gone, false);
      if (number === 1) await flush(store, round);
      else if (number === 2) await store.upload(someBytes(2000 + seed, seed));
      else await fromPeer(someBytes(60_000 + round, seed), someBytes(40_000));
    }
  };
  await Promise.all([1, 2, 3].map(client));
  await flush(store, 9);
  await store.upload(someBytes(20_000, 999), OWN);
  tellEarly();
}

/** Answers that nobody flushed when the process is killed. */
async function earlyKilled(store: TestStore): Promise<void> {
  await peer(store)(someBytes(60_000, 4));
  await store.upload(someBytes(20_000, 1), OWN);
  await store.store.log.settled(); // in the database, not flushed
  await store.upload(someBytes(30_000, 2), OWN);
  await store.upload(someBytes(900, 3), OWN);
  tellEarly();
  say({ what: "end" });
  Deno.kill(Deno.pid, "SIGKILL");
}

/** The same, after much was flushed and settled: numbers begin anew. */
async function earlySettled(store: TestStore): Promise<void> {
  for (const seed of [1, 2, 3]) {
    await store.upload(someBytes(20_000, seed), OWN);
  }
  await store.store.log.settled();
  await store.store.log.flush();
  await store.store.settle(0);
  await store.upload(someBytes(30_000, 4), OWN); // in the quick log alone
  tellEarly();
  say({ what: "end" });
  Deno.kill(Deno.pid, "SIGKILL");
}

/** The same, with a body in a journal. */
async function earlyJournal(store: TestStore): Promise<void> {
  await store.upload(someBytes(10_000, 8), OWN);
  await store.store.log.settled(); // in the database, not flushed
  say({ what: "end" });
  Deno.kill(Deno.pid, "SIGKILL");
}

/** The start after it: what was answered before is flushed now. */
async function earlyAgain(store: TestStore): Promise<void> {
  await flush(store, 1);
  for (const seed of [5, 6, 7]) await store.upload(someBytes(3000, seed));
}

/** On two disks, of which one fails; each upload is stored by itself. */
async function earlyApart(store: TestStore): Promise<void> {
  await earlyFault(store, () => store.store.log.settled());
}

/** The same, stored all at once. */
async function earlyFault(
  store: TestStore,
  pause: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  for (const seed of [1, 2, 3, 4]) {
    await tryUpload(store, someBytes(30_000, seed), OWN);
    tellEarly();
    await pause();
  }
  const how = { ...OWN, appender: true };
  for (const seed of [7, 8]) {
    const file = await store.upload(someBytes(30_000, seed), how);
    tellEarly();
    await pause();
    // Refused while the file has no name, and where the disk failed before.
    await store.write(file, 30_000, someBytes(500, seed), false)
      .catch(() => {});
  }
  await store.store.log.flush();
  for (const seed of [5, 6]) {
    await tryUpload(store, someBytes(30_000, seed), OWN);
  }
  await store.store.log.flush();
  await tell(store);
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const path = await Deno.readLink(`/proc/self/fd/${name}`).catch(() => "");
    if (/\/p\d\//.test(path)) say({ what: "state", slug: `open:${path}` });
  }
}

/** A stop that is not clean, with files that are not flushed. */
async function earlyLeft(store: TestStore): Promise<void> {
  for (const seed of [1, 2]) await store.upload(someBytes(30_000, seed), OWN);
  await store.store.log.settled();
  tellEarly();
  await store.close(false);
}

/** A commit fails while files that were answered wait for it. */
async function earlyCommit(store: TestStore): Promise<void> {
  const database = new DatabaseSync(`${dir}/data/kedge.db`);
  database.exec(`CREATE TRIGGER fault BEFORE INSERT ON changes
    BEGIN SELECT RAISE(ABORT, 'no more'); END`);
  for (const seed of [1, 2]) {
    await tryUpload(store, someBytes(30_000, seed), OWN);
  }
  tellEarly();
  await tryUpload(store, someBytes(10));
  database.exec("DROP TRIGGER fault");
  database.close();
  await store.close(false);
}

const STORIES: Readonly<Record<string, (store: TestStore) => Promise<void>>> = {
  ...{ early, "early-power": earlyPower, "early-killed": earlyKilled },
  ...{ "early-journal": earlyJournal, "early-settled": earlySettled },
  ...{ "early-again": earlyAgain, "early-apart": earlyApart },
  ...{ "early-fault": earlyFault, "early-commit": earlyCommit },
  "early-left": earlyLeft,
};

if (import.meta.main) {
  const isTwo = ["early-apart", "early-fault"].includes(scenario);
  const two = { storePaths: [`${dir}/p0`, `${dir}/p1`] };
  const options = { settleDelayMs: 1e9, ...(isTwo ? two : {}) };
  const store = await TestStore.open(dir, options);
  store.announce = (what, entry) => say({ what, entry });
  await arm();
  try {
    await STORIES[scenario]?.(store);
    if (scenario === "early") await store.store.settle(0);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say({ what: "refused", slug: error.slug });
  }
  say({ what: "end" });
  Deno.exit(0);
}
