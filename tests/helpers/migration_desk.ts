/**
 * Imports and exports over files in memory, for tests.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type {
  ImportRequest,
  MigrationRequest,
  MigrationView,
} from "@kedge/schema/migration";
import { MigrationDesk } from "../../node-agent/migration/desk.ts";
import type { LinkingStore } from "../../node-agent/operation_ports.ts";
import { eventually } from "./eventually.ts";
import { FakeDoor } from "./fake_door.ts";
import { FastdfsBase } from "./fastdfs_base.ts";
import type { FakeGroupOptions } from "./fake_replicator.ts";
import type { Scope } from "./scope.ts";

/** Wait for the end of what a desk runs. */
export async function endOf(desk: MigrationDesk): Promise<MigrationView> {
  return await eventually(() => {
    const view = desk.view(0);
    return view !== null && view.state !== "running" ? view : undefined;
  }, { what: "the end of a migration", pauseMs: 5 });
}

/** A desk, and what it works on. */
export class TestDesk {
  /** The node. */
  readonly door: FakeDoor;
  /** A folder for this test. */
  readonly dir: string;
  /** The desk itself. */
  readonly desk: MigrationDesk;
  /** Paths that were linked. */
  readonly linked: string[] = [];
  /** Store paths that hold nothing but what was taken in. */
  readonly allTaken: number[] = [];
  /** Thrown by links. */
  linkFailure: Error | undefined;

  private constructor(dir: string, options: FakeGroupOptions) {
    this.dir = dir;
    this.door = new FakeDoor(options);
    const store: LinkingStore = {
      link: async (path, pathIndex) => {
        if (this.linkFailure !== undefined) throw this.linkFailure;
        this.linked.push(path);
        const body = await Deno.readFile(path);
        const sizeBytesMax = body.length;
        return await this.door.files.stage({ body, sizeBytesMax, pathIndex });
      },
      takeOver: () => Promise.resolve(),
      allTaken: (pathIndex) => {
        this.allTaken.push(pathIndex);
        return Promise.resolve();
      },
    };
    const { app, files } = this.door;
    this.desk = new MigrationDesk({
      keeper: app.keeper,
      operations: app.operations,
      store,
      files,
      clock: { monotonicMs: () => performance.now(), wallMs: () => Date.now() },
      log: { info() {}, warn() {} },
      reportDir: `${dir}/reports`,
      storePaths: [`${dir}/own`],
    });
  }

  /** Set everything up. */
  static async make(
    scope: Scope,
    options: FakeGroupOptions = {},
  ): Promise<TestDesk> {
    const dir = await scope.tempDir();
    await Deno.mkdir(`${dir}/own/data`, { recursive: true });
    const test = new TestDesk(dir, options);
    scope.defer(() => test.desk.stop());
    return test;
  }

  /** Import, to its end. */
  async import(
    roots: readonly string[],
    more: Partial<ImportRequest> = {},
  ): Promise<MigrationView> {
    return await this.run({
      kind: "import",
      base: roots[0] ?? "",
      group: null,
      storePaths: [...roots],
      mode: "copy",
      dryRun: false,
      followDeletes: false,
      bytesPerS: 0,
      ...more,
    });
  }

  /** Do it, to its end. */
  async run(request: MigrationRequest): Promise<MigrationView> {
    await this.desk.start(request);
    return await this.ended();
  }

  /** Wait for the end of what runs. */
  async ended(): Promise<MigrationView> {
    return await endOf(this.desk);
  }

  /** Checksum of every file that is here, by ID. */
  get content(): Map<string, string> {
    const present = [...this.door.files.stored]
      .filter(([, { entry }]) => entry.state === "present");
    return sums(new Map(present.map(([id, { bytes }]) => [id, bytes])));
  }
}

/** Lengths and checksums, which a failed comparison can print. */
export function sums(
  files: ReadonlyMap<string, Uint8Array>,
): Map<string, string> {
  const ids = [...files.keys()].sort();
  return new Map(ids.map((id) => {
    const bytes = files.get(id) ?? new Uint8Array();
    return [id, `${bytes.length} ${crc32(bytes)}`];
  }));
}

/** Metadata of a file. */
export const META: Readonly<Record<string, string>> = {
  width: "160",
  "höhe": "80",
};

/** A desk, and a storage with two store paths beside it. */
export async function setUpImport(
  scope: Scope,
): Promise<{ desk: TestDesk; base: FastdfsBase }> {
  const desk = await TestDesk.make(scope);
  const roots = [`${desk.dir}/base`, `${desk.dir}/disk1`];
  return { desk, base: await FastdfsBase.make(roots) };
}

/** One of everything. */
export async function fillBase(base: FastdfsBase) {
  const normal = await base.add(base.bytes(5000), { extension: "txt" });
  const large = await base.add(base.bytes(300_000), { pathIndex: 1 });
  const empty = await base.add(base.bytes(0));
  const withMeta = await base.add(base.bytes(10), { meta: META });
  const appender = base.newId(base.bytes(3), { appender: true });
  await base.write(appender, base.bytes(100_000));
  const slave = normal.replace(".txt", "_big.jpg");
  await base.write(slave, base.bytes(77));
  const duplicate = await base.addDuplicate(large);
  const packed = await base.addPacked(base.bytes(300));
  const packedMeta = await base.addPacked(base.bytes(1000));
  await base.setMeta(packedMeta, META);
  return {
    ...{ normal, large, empty, withMeta, appender, slave, duplicate },
    ...{ packed, packedMeta },
  };
}
