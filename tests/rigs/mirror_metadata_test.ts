/**
 * A node is killed before every single write of its disk, or in the middle
 * of it: its disk can be attached again, and what the peer does not have is
 * found, or everything is copied.
 *
 * Scenario S55.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import {
  LOCAL_BYTES,
  LocalNode,
  type LocalPair,
  makeEqualDisks,
} from "../helpers/mirror_pair_local.ts";
import { dataOf, differingBlocks } from "../helpers/mirror_pair_images.ts";
import { memoryDir } from "../helpers/mirror_pair.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";
import { type Fault, FaultShim, readCount } from "./fault_shim.ts";
import { STORIES, type StoryName, writeOf } from "./mirror_stories.ts";
import { say, skipsWithoutShim } from "./store_runs.ts";

const ignore = skipsWithoutShim("tests/rigs/mirror_metadata");
const CHILD = new URL("./mirror_child.ts", import.meta.url).pathname;

/** What the Primary wrote before its target came. */
const TARGET_WRITES = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/** What a life came to. */
interface Life {
  readonly isKilled: boolean;
  readonly calls: number;
  /** Numbers of the writes that were acknowledged. */
  readonly wrote: readonly number[];
}

/** Runs stories, each on disks of its own. */
class Rig {
  #runs = 0;
  readonly #net = `127.${part()}`;

  constructor(readonly shim: FaultShim, readonly dir: string) {}

  /** One life with a fault, and what is found afterwards. */
  async run(story: StoryName, fault: Pick<Fault, "mode" | "at" | "calls">) {
    const number = ++this.#runs;
    const dir = `${this.dir}/${number}`;
    await Deno.mkdir(dir);
    const pair = { net: `${this.#net}.${number % 250 + 1}`, dir };
    makeEqualDisks(pair);
    const survivor = await survivorOf(story, pair);
    try {
      const life = await this.#live(pair, story, fault);
      await checkRejoin(pair, { story, survivor, life });
      return life;
    } catch (error) {
      const what = `${story}, ${fault.mode} at call ${fault.at}`;
      throw new Error(`${what}: ${error}`, { cause: error });
    } finally {
      survivor?.[Symbol.dispose]();
      await Deno.remove(dir, { recursive: true });
    }
  }

  async #live(
    { net, dir }: LocalPair,
    story: StoryName,
    fault: Pick<Fault, "mode" | "at" | "calls">,
  ): Promise<Life> {
    const counter = `${dir}/counter`;
    // In front of data, too, where the peer is about to get it.
    const path = story === "primary" ? "/a." : `/${STORIES[story].name}.meta`;
    const all = { ...fault, path, arm: "/armed" };
    const child = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", CHILD, net, dir, story],
      env: { ...this.shim.environment(all, counter), NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    const lines = new TextDecoder().decode(child.stdout).split("\n");
    const isKilled = child.signal === "SIGKILL";
    if (!isKilled) {
      const errors = new TextDecoder().decode(child.stderr);
      ok(lines.includes("end"), `it ended early: ${lines} ${errors}`);
    }
    const wrote = lines.filter((line) => line.startsWith("wrote "))
      .map((line) => Number(line.slice(6)));
    return { isKilled, calls: readCount(counter), wrote };
  }
}

/** The other node, when the story needs it alive. */
async function survivorOf(
  story: StoryName,
  pair: LocalPair,
): Promise<LocalNode | undefined> {
  if (story === "alone") return undefined;
  const name = STORIES[story].name === "a" ? "b" : "a";
  const node = new LocalNode(name, pair);
  await node.must({ kind: "attach" });
  if (story === "target") {
    await node.must({ kind: "primary", force: false });
    for (const number of TARGET_WRITES) {
      const { offset, data } = writeOf(number);
      ok(await node.write(offset, data));
    }
  }
  await node.connect();
  return node;
}

/** The killed node returns; in the end both have the same, and all of it. */
async function checkRejoin(
  pair: LocalPair,
  run: {
    readonly story: StoryName;
    readonly survivor: LocalNode | undefined;
    readonly life: Life;
  },
): Promise<void> {
  const { story, survivor, life } = run;
  const { name } = STORIES[story];
  using returned = new LocalNode(name, pair);
  await returned.must({ kind: "attach" });
  await checkBits(pair, returned, survivor);
  using other = survivor === undefined
    ? new LocalNode(name === "a" ? "b" : "a", pair)
    : undefined;
  await other?.must({ kind: "attach" });
  await other?.connect();
  if (survivor?.state.connection === "StandAlone") await survivor.connect();
  await returned.connect();
  await returned.untilEqual();
  await (survivor ?? other)?.untilEqual();
  const [a, b] = await images(pair);
  deepEqual(differingBlocks(a, b).slice(0, 5), []);
  const wrote = story === "target" ? TARGET_WRITES : life.wrote;
  for (const number of wrote) {
    const { offset, data } = writeOf(number);
    deepEqual(a.subarray(offset, offset + data.length), data);
  }
}

/** What differs is marked here or there (promises.md I10). */
async function checkBits(
  pair: LocalPair,
  returned: LocalNode,
  survivor: LocalNode | undefined,
): Promise<void> {
  const [a, b] = await images(pair);
  const missing = differingBlocks(a, b).filter((block) =>
    !returned.volume.core.bitmap?.has(block) &&
    !survivor?.volume.core.bitmap?.has(block)
  );
  deepEqual(missing, [], "blocks differ that nobody has marked");
}

function images({ dir }: LocalPair) {
  return Promise.all([
    dataOf(`${dir}/a.data`, LOCAL_BYTES),
    dataOf(`${dir}/b.data`, LOCAL_BYTES),
  ]);
}

function part(): number {
  return 1 + Math.floor(Math.random() * 253);
}

for (const story of Object.keys(STORIES) as StoryName[]) {
  Deno.test({
    name: `S55 killed at every write: ${story}`,
    ignore,
    async fn() {
      await using scope = new Scope();
      const dir = await memoryDir(scope);
      const rig = new Rig(await FaultShim.compile(dir), dir);
      const calls = ["write", "sync"] as const;
      const whole = await rig.run(story, { mode: "count", at: 0, calls });
      equal(whole.isKilled, false);
      const random = new Random(seedOfRun(`S55 ${story}`));
      let at = 0;
      let killed = 0;
      const worker = async () => {
        while (at < whole.calls) {
          const here = ++at;
          const mode = random.next() < 0.5 ? "torn" : "kill-before";
          const life = await rig.run(story, { mode, at: here, calls });
          if (life.isKilled) killed++;
        }
      };
      await Promise.all([worker(), worker(), worker()]);
      say(`S55 ${story}: ${whole.calls} calls, ${killed} kills\n`);
      ok(killed >= whole.calls - 3);
    },
  });
}
