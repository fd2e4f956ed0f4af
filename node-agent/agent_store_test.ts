import assert from "node:assert/strict";
import { GroupSettings } from "@kedge/schema";
import { readAgentConfig } from "@kedge/schema/config/agent";
import type { Change } from "@kedge/schema/change";
import { type AgentStore, openAgentStore } from "./agent_store.ts";
import { newEntry, QuietLog, someBytes } from "./files/store_fixture.ts";

/** Upload 1,000 bytes; tells whether they got a file of their own. */
async function hasOwnFile(store: AgentStore, data: string): Promise<boolean> {
  const { files, log } = store;
  const body = someBytes(1000, log.head() + 1);
  const staged = await files.stage({ body, sizeBytesMax: 1e6, durable: true });
  const id = files.newId({ staged, extension: "", appender: false });
  const change: Change = {
    entry: newEntry(id, staged),
    body: { kind: "whole" },
  };
  const content = { kind: "staged", staged } as const;
  await log.append({ sequence: log.head() + 1, change, content }, true);
  const path = `${data}/store/data/${id.split("/").slice(2).join("/")}`;
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("a group's word on packing counts more than the agent's own", async () => {
  const data = await Deno.makeTempDir({ prefix: "kedge-follow-" });
  const identity = { node: 1, group: "group1", credential: "" };
  const newStore = crypto.randomUUID();
  const admission = { identity, newStore, firstReply: undefined, caCerts: [] };
  const said = (smallFileMax?: number) => GroupSettings.parse({ smallFileMax });
  const open = (own: string, settings: GroupSettings | undefined) =>
    openAgentStore(
      readAgentConfig({
        flags: { data, small_file_max: own, reserved_storage_space: "0" },
        env: {},
      }),
      { admission, settings, log: new QuietLog(), onFailed: assert.fail },
    );
  try {
    let store = await open("0", undefined);
    assert(await hasOwnFile(store, data));
    store.follow(said(4096));
    assert(!await hasOwnFile(store, data));
    store.follow(said(0));
    assert(await hasOwnFile(store, data));
    store.follow(said());
    assert(await hasOwnFile(store, data));
    await store.close({ clean: true });

    // What was heard last counts from the start on.
    store = await open("8KB", said(0));
    assert(await hasOwnFile(store, data));
    store.follow(said());
    assert(!await hasOwnFile(store, data));
    await store.close({ clean: true });
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("the log of a start says which store path is not used, and why", async () => {
  const data = await Deno.makeTempDir({ prefix: "kedge-foreign-" });
  try {
    await Deno.mkdir(`${data}/store/data/00`, { recursive: true });
    const log = new QuietLog();
    const identity = { node: 1, group: "group1", credential: "" };
    const newStore = crypto.randomUUID();
    const admission = {
      identity,
      newStore,
      firstReply: undefined,
      caCerts: [],
    };
    const store = await openAgentStore(
      readAgentConfig({ flags: { data }, env: {} }),
      { admission, settings: undefined, log, onFailed: assert.fail },
    );
    await store.close({ clean: true });
    assert.match(log.warnings.join("\n"), /M00 is missing: .*rebuild-index/);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});
