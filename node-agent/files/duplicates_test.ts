import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { rowOf } from "@kedge/schema/db";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import { openForWriting } from "./database.ts";
import { type Duplicates, openDuplicates } from "./duplicates.ts";
import type { Pending } from "./file_actions.ts";
import { folderOf, Layout } from "./layout.ts";
import { WriteStatements } from "./statements.ts";
import {
  diskPath,
  factsOf,
  newEntry,
  someBytes,
  TestStore,
} from "./store_fixture.ts";

async function inTemp(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-equal-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A store whose uploads settle when asked. */
function openStore(dir: string): Promise<TestStore> {
  return TestStore.open(dir, { checkDuplicates: true, settleDelayMs: 1e9 });
}

function inodeOf(dir: string, entry: FileEntry): number | null {
  return Deno.lstatSync(diskPath(dir, entry.id)).ino;
}

for (const sizeBytes of [4000, 3_000_000]) {
  Deno.test(`equal files of ${sizeBytes} bytes are kept once, and each delete takes one name`, () =>
    inTemp(async (dir) => {
      const before = await openStore(dir);
      const bytes = someBytes(sizeBytes);
      const one = await before.upload(bytes);
      const other = await before.upload(someBytes(sizeBytes, 2));
      await before.store.settle(0);
      await before.close();
      const store = await openStore(dir);
      const two = await store.upload(bytes);
      const three = await store.upload(bytes);
      // A small one is never written, a large one shared when it settles.
      const isAtOnce = inodeOf(dir, one) === inodeOf(dir, two);
      assert.equal(isAtOnce, sizeBytes === 4000);
      await store.store.settle(0);
      assert.equal(inodeOf(dir, two), inodeOf(dir, one));
      assert.equal(inodeOf(dir, three), inodeOf(dir, one));
      assert.notEqual(inodeOf(dir, other), inodeOf(dir, one));
      assert.equal(new Set([one.id, two.id, three.id]).size, 3);

      await store.delete(one);
      assert.deepEqual(await store.read(two), bytes);
      await store.delete(three);
      await store.close();
      const again = await openStore(dir);
      assert.deepEqual(await again.read(two), bytes);
      const { nlink } = Deno.statSync(diskPath(dir, two.id));
      assert.equal(nlink, 1, "the last name");
      await again.delete(two);
      await again.store.settle(0);
      assert.throws(() => inodeOf(dir, two), Deno.errors.NotFound);
      const staging = [...Deno.readDirSync(`${dir}/p0/data/.tmp`)];
      assert.deepEqual(staging, []);
      await again.close();
    }));
}

Deno.test("a file that rotted is nothing to link to", () =>
  inTemp(async (dir) => {
    const store = await openStore(dir);
    const bytes = someBytes(4000);
    const rotten = await store.upload(bytes);
    await store.store.settle(0);
    const wrong = bytes.slice();
    wrong[17] = (wrong[17] ?? 0) ^ 1;
    await Deno.writeFile(diskPath(dir, rotten.id), wrong);
    const good = await store.upload(bytes);
    await store.store.settle(0);
    assert.notEqual(inodeOf(dir, good), inodeOf(dir, rotten));
    assert.deepEqual(await store.read(good), bytes);
    await store.close();
  }));

Deno.test("a burst of equal small files is one file before anything settles", () =>
  inTemp(async (dir) => {
    const store = await openStore(dir);
    const bytes = someBytes(4000);
    const files = await Promise.all(
      Array.from({ length: 20 }, () => store.upload(bytes)),
    );
    assert.equal(new Set(files.map((entry) => inodeOf(dir, entry))).size, 1);
    await store.close(false);
    const again = await openStore(dir);
    for (const entry of files) assert.deepEqual(await again.read(entry), bytes);
    await again.store.settle(0);
    assert.equal(new Set(files.map((entry) => inodeOf(dir, entry))).size, 1);
    await again.close();
  }));

Deno.test("appenders keep their own bytes; without the setting everybody does", () =>
  inTemp(async (dir) => {
    const bytes = someBytes(4000);
    const store = await openStore(dir);
    const files = [
      await store.upload(bytes, { appender: true }),
      await store.upload(bytes, { appender: true }),
      await store.upload(bytes),
    ];
    await store.store.settle(0);
    await store.close();
    const plain = await TestStore.open(dir, { settleDelayMs: 1e9 });
    files.push(await plain.upload(bytes));
    await plain.store.settle(0);
    await plain.close();
    const inodes = new Set(files.map((entry) => inodeOf(dir, entry)));
    assert.equal(inodes.size, 4);
  }));

Deno.test("bytes that have another name are never changed where they lie", () =>
  inTemp(async (dir) => {
    for (const length of [10, 100_000]) {
      const store = await openStore(dir);
      const file = await store.upload(someBytes(3000), { appender: true });
      await store.store.settle(0);
      const elsewhere = `${dir}/p0/other-${length}`;
      await Deno.link(diskPath(dir, file.id), elsewhere);
      const longer = await store.write(file, 3000, someBytes(length, 2));
      const wanted = [...someBytes(3000), ...someBytes(length, 2)];
      assert.deepEqual(await store.read(longer), new Uint8Array(wanted));
      assert.deepEqual(await Deno.readFile(elsewhere), someBytes(3000));
      await store.close();
    }
  }));

/** A linker on a database of its own, and files that it finds there. */
class Rig implements Disposable {
  readonly fenced: string[] = [];
  readonly warnings: string[] = [];
  readonly waiting = new Set<string>();
  readonly layout: Layout;
  readonly statements: WriteStatements;
  readonly linker: Duplicates;
  readonly #database: ReturnType<typeof openForWriting>;
  #number = 0;

  constructor(dir: string) {
    this.layout = new Layout(dir, [`${dir}/p0`]);
    this.#database = openForWriting(`${dir}/kedge.db`);
    this.statements = new WriteStatements(this.#database);
    Deno.mkdirSync(this.layout.staging(0), { recursive: true });
    const linker = openDuplicates(true, {
      database: this.#database,
      statements: this.statements,
      layout: this.layout,
      fence: (_, reason) => void this.fenced.push(reason),
      mayWrite: () => true,
      finisher: { waiting: () => this.waiting, share: () => false },
      isOver: () => false,
      warn: (message) => void this.warnings.push(message),
    });
    assert(linker !== undefined);
    this.linker = linker;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  /** A file on the disk and in the index, and its action. */
  add(bytes: Uint8Array): Pending {
    const number = ++this.#number;
    const facts = factsOf(bytes);
    const name = encodeFileName({
      ...facts,
      origin: 1,
      createdS: 1_800_000_000,
      appender: false,
      random: number,
      digits: 0,
      extension: "",
    });
    const place = { group: "group1", pathIndex: 0, high: 1, low: 2 };
    const entry = newEntry(encodeFileId(place, name), facts);
    const row = rowOf(entry, { pathIndex: 0, damaged: 0, blockCrcs: null });
    this.statements.putFile.run({ ...row });
    const path = this.layout.file(entry.id, 0);
    Deno.mkdirSync(folderOf(path), { recursive: true });
    Deno.writeFileSync(path, bytes);
    const action = {
      number,
      id: entry.id,
      epoch: 1,
      version: 1,
      kind: "write",
      pathIndex: 0,
      token: "",
      offset: 0,
    } as const;
    return { ...action, replaces: false, sinceMs: 0, done: true };
  }

  inode({ id }: Pending): number | null {
    return Deno.lstatSync(this.layout.file(id, 0)).ino;
  }
}

Deno.test("what is not flushed yet is nothing to link to", () =>
  inTemp(async (dir) => {
    using rig = new Rig(dir);
    const bytes = someBytes(500);
    const waiting = rig.add(bytes);
    const settled = rig.add(bytes);
    rig.waiting.add(waiting.id);
    await rig.linker.link([settled]);
    assert.notEqual(rig.inode(settled), rig.inode(waiting));
    // Flushed together they may be linked at once.
    rig.waiting.clear();
    await rig.linker.link([waiting, settled]);
    assert.equal(rig.inode(settled), rig.inode(waiting));
  }));

Deno.test("when a file has no room for another name the next one begins anew", () =>
  inTemp(async (dir) => {
    using rig = new Rig(dir);
    const bytes = someBytes(500);
    const link = Deno.linkSync;
    // More names than are tried have the inode that is full.
    const full = Array.from({ length: 6 }, () => rig.add(bytes));
    await rig.linker.link(full);
    const fullInodes = new Set(full.map((file) => rig.inode(file)));
    assert.equal(fullInodes.size, 1);
    Deno.linkSync = (from, to) => {
      if (fullInodes.has(Deno.lstatSync(from).ino)) {
        throw Object.assign(new Error("Too many links"), { code: "EMLINK" });
      }
      link(from, to);
    };
    try {
      const [second, third] = [rig.add(bytes), rig.add(bytes)];
      await rig.linker.link([second]);
      assert(!fullInodes.has(rig.inode(second)));
      await rig.linker.link([third]);
      assert.equal(rig.inode(third), rig.inode(second));
    } finally {
      Deno.linkSync = link;
    }
    assert.deepEqual([rig.fenced, rig.warnings], [[], []]);
  }));

Deno.test("no hard links: said once; a disk that fails: fenced", () =>
  inTemp(async (dir) => {
    const link = Deno.linkSync;
    const failing = (code: string) => () => {
      throw Object.assign(new Error(code), { code });
    };
    try {
      for (const code of ["EPERM", "EIO", "ENOSPC"]) {
        Deno.linkSync = failing(code);
        using rig = new Rig(await Deno.makeTempDir({ dir }));
        const bytes = someBytes(500);
        const files = [rig.add(bytes), rig.add(bytes), rig.add(bytes)];
        const before = files.map((file) => rig.inode(file));
        await rig.linker.link(files);
        assert.deepEqual(files.map((file) => rig.inode(file)), before);
        assert.equal(rig.warnings.length, code === "EPERM" ? 1 : 0);
        assert.equal(rig.fenced.length > 0, code === "EIO");
      }
    } finally {
      Deno.linkSync = link;
    }
  }));
