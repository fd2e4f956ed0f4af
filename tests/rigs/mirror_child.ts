/**
 * One node of a mirror that lives through a story, to be killed anywhere in it:
 * `mirror_child.ts NET DIR STORY`. Prints what it has done, line by line.
 *
 * @module
 */

import { LocalNode } from "../helpers/mirror_pair_local.ts";
import { isStory, STORIES, writeOf } from "./mirror_stories.ts";

const [net = "", dir = "", story = ""] = Deno.args;
if (!isStory(story)) throw new Error(`no story ${story}`);

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

const { name, steps } = STORIES[story];
const node = new LocalNode(name, { net, dir });
Deno.writeTextFileSync(`${dir}/armed`, ""); // calls count from here on
for (const step of steps) {
  if (step.do === "write") {
    const { offset, data } = writeOf(step.number);
    if (!await node.write(offset, data)) throw new Error("a write failed");
  } else if (step.do === "flush") {
    if (!await node.flush()) throw new Error("a flush failed");
  } else if (step.do === "untilEqual") {
    await node.untilEqual();
  } else {
    await node.must(step.command);
  }
  say(step.do === "write" ? `wrote ${step.number}` : step.do);
}
node[Symbol.dispose]();
say("end");
Deno.exit(0);
