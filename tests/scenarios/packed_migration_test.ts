/**
 * Moving in from FastDFS, and out again, where small files are packed.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Change } from "@kedge/schema/change";
import type { Level } from "@kedge/schema";
import type { ImportRequest } from "@kedge/schema/migration";
import { scanSegment } from "../../node-agent/files/segments.ts";
import { storeOptions } from "../../node-agent/files/store_fixture.ts";
import { openStore, type Store } from "../../node-agent/files/store.ts";
import { createAgentApp } from "../../node-agent/http/agent_app.ts";
import { MigrationDesk } from "../../node-agent/migration/desk.ts";
import type { Commitment, ContentSource } from "../../node-agent/ports.ts";
import { FakeClock, FakeFiles, GROUP } from "../helpers/fake_files.ts";
import { FakeReplicator } from "../helpers/fake_replicator.ts";
import { FastdfsBase } from "../helpers/fastdfs_base.ts";
import { endOf, fillBase, sums, TestDesk } from "../helpers/migration_desk.ts";
import { NO_ADMIN } from "../helpers/no_admin.ts";
import { Scope } from "../helpers/scope.ts";

const SMALL_FILE_MAX = 8192;
const LOG = { info() {}, warn() {} };

/** A group of one, whose log is the store's. */
class StoredReplicator extends FakeReplicator {
  readonly #store: Store;
  #sequence = 0;

  constructor(store: Store) {
    super(new FakeFiles(1, new FakeClock()), [], { members: [1] });
    this.#store = store;
  }

  override async commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment> {
    const record = { sequence: ++this.#sequence, change, content };
    await this.#store.log.append(record, true, idempotencyKey);
    return { level, holders: [1] };
  }
}

/** A node that packs, with the desk for imports and exports. */
async function packingNode(scope: Scope) {
  const dir = await scope.tempDir();
  const storePaths = [`${dir}/p0`, `${dir}/p1`];
  const store = await openStore(storeOptions(dir, {
    storePaths,
    smallFileMax: SMALL_FILE_MAX,
    settleDelayMs: 1e9,
  }));
  scope.defer(() => store.close({ clean: true }));
  const clock = {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
  };
  const { files, linker } = store;
  const { keeper, operations } = createAgentApp({
    ...{ node: 1, group: GROUP, url: () => "http://node1.test" },
    ...{ files, replicator: new StoredReplicator(store), clock, log: LOG },
    admin: NO_ADMIN,
  });
  const reportDir = `${dir}/reports`;
  const desk = new MigrationDesk({
    ...{ keeper, operations, store: linker, files, clock, log: LOG },
    ...{ reportDir, storePaths },
  });
  scope.defer(() => desk.stop());
  return { dir, store, operations, desk };
}

type Node = Awaited<ReturnType<typeof packingNode>>;

async function finish(
  { desk }: Node,
  request: Parameters<MigrationDesk["start"]>[0],
) {
  await desk.start(request);
  return await endOf(desk);
}

/** IDs of the live records on the first store path. */
function packedIds({ dir }: Node): string[] {
  const folder = `${dir}/p0/data/.segments`;
  return [...Deno.readDirSync(folder)].flatMap(({ name }) =>
    [...scanSegment(`${folder}/${name}`)]
      .filter(({ isLive }) => isLive).map(({ id }) => id)
  ).sort();
}

async function contentOf({ store }: Node): Promise<Map<string, string>> {
  const found = new Map<string, Uint8Array>();
  for (const entry of store.files.list({ limit: 1000 })) {
    const body = await store.files.read(entry);
    const bytes = body instanceof Uint8Array
      ? body
      : await new Response(body).bytes();
    found.set(entry.id, bytes);
  }
  return sums(found);
}

for (const mode of ["copy", "link"] as const) {
  Deno.test(`small files are packed by an import (${mode}), and exported as they came`, async () => {
    await using scope = new Scope();
    const node = await packingNode(scope);
    const base = await FastdfsBase.make([`${node.dir}/b0`, `${node.dir}/b1`]);
    const { large, empty, appender, packed } = await fillBase(base);
    const { roots } = base;
    const request: ImportRequest = {
      ...{ kind: "import", base: roots[0] ?? "", group: null, mode },
      ...{ storePaths: [...roots], dryRun: false, bytesPerS: 0 },
      followDeletes: false,
    };
    const view = await finish(node, request);
    assert.deepEqual([view.state, view.problems], ["done", []]);
    // From the database, then from the segments.
    const wanted = sums(base.files);
    assert.deepEqual(await contentOf(node), wanted);
    await node.store.settle(0);
    assert.deepEqual(await contentOf(node), wanted);
    const own = new Set([large, empty, appender]);
    const small = [...base.files].filter(([id, { length }]) =>
      length <= SMALL_FILE_MAX && !own.has(id)
    ).map(([id]) => id);
    assert.equal(small.length, 5);
    assert.deepEqual(packedIds(node), small.sort());

    const to = `${node.dir}/back`;
    const exported = { kind: "export", to, bytesPerS: 0 } as const;
    assert.deepEqual((await finish(node, exported)).problems, []);
    const other = await TestDesk.make(scope);
    const back = await other.import([to, `${to}/M01`]);
    assert.deepEqual([back.problems, back.done.packed], [[], 2]);
    assert.deepEqual(other.content, wanted);

    // A second import finds everything; what was deleted stays so.
    await node.operations.remove(packed);
    const again = await finish(node, request);
    const told = again.problems.map(({ kind, name }) => [kind, name]);
    assert.deepEqual(told, [["skipped", packed]]);
    await node.store.settle(0);
    assert(!packedIds(node).includes(packed));
    assert.equal(node.store.files.lookup(packed)?.state, "tombstone");
  });
}
