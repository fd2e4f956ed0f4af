import assert from "node:assert/strict";
import { DAMAGED_MAX, NginxLinks } from "./nginx_links.ts";
import { leaveSeconds } from "./nginx_links_core.ts";
import type { Replicator } from "./ports.ts";

Deno.test("leave is given for whole seconds within what is sure", () => {
  assert.deepEqual(leaveSeconds(1_000_400, 599), []);
  assert.deepEqual(leaveSeconds(1_000_400, 600), [1000]);
  assert.deepEqual(leaveSeconds(1_000_400, 2000), [1000, 1001]);
  assert.deepEqual(leaveSeconds(1_000_000, Infinity), [1000, 1001]);
  assert.deepEqual(leaveSeconds(1_000_400, 0), []);
});

Deno.test("nginx gets in while this node may read, and no longer", async () => {
  await using world = await World.make();
  const { links } = world;
  links.start();
  assert.deepEqual(world.readable(), ["1000", "1001"]);
  world.wallMs += 1000;
  links.look();
  assert.deepEqual(world.readable(), ["1001", "1002"]);
  world.may = { ok: true, confirm: true };
  links.look();
  assert.deepEqual(world.readable(), []);
  world.may = { ok: true, forMs: 1100 };
  links.look();
  assert.deepEqual(world.readable(), ["1001"]);
  world.may = { ok: false, why: "cut off" };
  links.look();
  assert.deepEqual(world.readable(), []);
  world.may = { ok: true, forMs: Infinity };
  links.look();
  world.wallMs -= 5000;
  links.look();
  const back = ["996", "997"];
  assert.deepEqual(world.readable(), back, "the clock was set back");
  links.stop();
  assert.deepEqual(world.readable(), []);
});

Deno.test("what an earlier run left is no leave", async () => {
  await using world = await World.make();
  Deno.mkdirSync(`${world.dir}/nginx/paths`, { recursive: true });
  Deno.symlinkSync("paths", `${world.dir}/nginx/1001`);
  Deno.symlinkSync("/nowhere", `${world.dir}/nginx/paths/M00`);
  world.may = { ok: false, why: "not yet" };
  world.links.start();
  assert.deepEqual(world.readable(), []);
});

Deno.test("a disk that takes no deletes is not shown", async () => {
  await using world = await World.make();
  world.links.start();
  world.takesChanges = false;
  world.links.lookAtPaths();
  assert.deepEqual(world.readable(), []);
  world.takesChanges = true;
  world.links.lookAtPaths();
  assert.deepEqual(world.readable(), ["1000", "1001"]);
});

Deno.test("a copy that is known to be bad is marked, until it is good", async () => {
  await using world = await World.make();
  world.damaged = [{ id: "group1/M00/00/00/bad.jpg" }];
  world.links.start();
  const marks = () =>
    [...Deno.readDirSync(`${world.dir}/nginx/damaged`)].map(({ name }) => name);
  assert.deepEqual(marks(), ["bad.jpg"]);
  world.damaged = [];
  for (let look = 0; look < 4; look++) world.links.look();
  assert.deepEqual(marks(), []);
  world.damaged = Array.from(
    { length: DAMAGED_MAX + 1 },
    (_, i) => ({ id: `group1/M00/00/00/${i}` }),
  );
  for (let look = 0; look < 4; look++) world.links.look();
  assert.deepEqual(world.readable(), [], "a disk is being filled again");
});

class World implements AsyncDisposable {
  wallMs = 1_000_000;
  may: ReturnType<Replicator["mayRead"]> = { ok: true, forMs: 2500 };
  takesChanges = true;
  damaged: { id: string }[] = [];
  readonly links: NginxLinks;

  private constructor(readonly dir: string) {
    this.links = new NginxLinks({
      dir: `${dir}/nginx`,
      folders: [`${dir}/data`],
      takesChanges: () => this.takesChanges,
      damaged: (limit) => this.damaged.slice(0, limit),
      mayRead: () => this.may,
      wallMs: () => this.wallMs,
      log: { info() {}, warn() {} },
    });
  }

  static async make(): Promise<World> {
    const dir = await Deno.makeTempDir();
    await Deno.mkdir(`${dir}/data`);
    await Deno.writeTextFile(`${dir}/data/file`, "content");
    return new World(dir);
  }

  /** Seconds through which nginx would find the file. */
  readable(): string[] {
    return [...Deno.readDirSync(`${this.dir}/nginx`)]
      .map(({ name }) => name).filter((name) => {
        try {
          return Deno.readTextFileSync(
                `${this.dir}/nginx/${name}/M00/file`,
              ) === "content" && name !== "paths";
        } catch {
          return false;
        }
      }).sort((a, b) => Number(a) - Number(b));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.links.stop();
    await Deno.remove(this.dir, { recursive: true });
  }
}
