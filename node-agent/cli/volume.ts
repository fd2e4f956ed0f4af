/** `kedge volume`: mirrored volumes in our own words. */

import { resolve } from "node:path";
import { NotDefinedError, ParseError } from "@kedge/schema/drbd-conf";
import { exactly, parse } from "./args.ts";
import type { Command } from "./command.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { MirrorClient } from "./mirror_client.ts";
import { runDirOf } from "./mirror/run_dir.ts";
import { readsWith } from "./readers.ts";
import {
  findResource,
  request,
  REQUESTS,
  splitName,
  type VolumeCall,
} from "./volume/actions.ts";
import { VOLUME_OPTIONS } from "./volume/options.ts";
import type { SetReport } from "./volume/set.ts";
import { list, resolveSplit, status, watch } from "./volume/show.ts";
import { statusLines } from "./volume/status_text.ts";

/** See the module comment. */
export const volume: Command = {
  name: "volume",
  summary: "create, promote, watch and repair mirrored volumes",
  usage: [
    "volume list|status [NAME]",
    "volume create NAME --disk PATH [--size SIZE] --listen IP:PORT --peer HOST=IP:PORT",
    "volume init|up|adjust|down|promote|demote|connect|disconnect|verify|pause|resume NAME",
    "volume set NAME [OPTION=VALUE…]",
    "volume resize NAME [--size SIZE] [--assume-clean]",
    "volume watch [NAME]",
    "volume resolve NAME",
    "volume undo NAME [list | restore FILE]",
  ],
  about:
    `A volume is a disk that two hosts keep equal, block by block. One of them
is Primary: there it can be opened, as /dev/drbdN and over NBD. The other one
is Secondary and takes every write.

create   writes drbd.d/NAME.res, makes the disk and its metadata, and starts
         it; the other host gets the same file and says "init"
init     the second half of create, for a file that is there already
adjust   take what NAME.res says now, while it runs; a Primary goes on working
set      write options of drbd.conf into NAME.res, and take them while it runs;
         OPTION= goes back to what "common" says, or the default. Say it on
         both hosts. Without options: what is said, and where
promote  make this host Primary; --force only for new data, or when the other
         copy is lost
connect  look for the peer; after a split brain see "resolve"
verify   compare the two copies; differences are marked for the next resync
resize   after both disks were enlarged: use their new room. Say it on one
         host; a mounted volume keeps its old size until it is opened anew
watch    the state, live, with progress
resolve  after a split brain: what each side wrote, and the commands to say
undo     what the loser of a split brain held, and how to bring it back

drbdadm does the same with DRBD's words; both read the same files.`,
  options: VOLUME_OPTIONS,
  examples: [
    [
      "kedge volume create db --disk /srv/db.img --size 10G --listen 10.0.0.1:7789 --peer b=10.0.0.2:7789",
      "a new volume of 10 GiB, with host b",
    ],
    ["kedge volume promote db", "use it here"],
    [
      "kedge volume set db resync-rate=50M timeout=80 verify-alg=",
      "other options, while it runs",
    ],
    ["kedge volume resize db", "use all of two disks that have grown"],
    ["kedge volume watch", "all volumes, live"],
    ["kedge volume resolve db", "a way out of a split brain"],
    ["kedge volume status db --json", "for scripts; exit code 1: not well"],
  ],
  verbs: [
    "list",
    "status",
    "create",
    "init",
    "up",
    "adjust",
    "set",
    "down",
    ...Object.keys(REQUESTS),
    "watch",
    "resolve",
    "undo",
  ],
  reads: readsWith(VOLUME_OPTIONS, "list", "status", "watch", "resolve"),
  exits: ["unreachable", "notFound"],

  async run(args, context) {
    const { values, words } = parse(args, VOLUME_OPTIONS);
    const [verb, ...rest] = words;
    if (verb === undefined) throw new UsageError("Missing what to do");
    const runDir = resolve(runDirOf(values["run-dir"], context.env));
    using client = new MirrorClient(runDir, context);
    const call: VolumeCall = { client, values, context };
    const make = REQUESTS[verb];
    if (make !== undefined) {
      const [word = ""] = exactly(rest, "NAME");
      const exit = await request(word, make(values), call);
      return verb === "verify" && values.watch
        ? await watch(word, call, "verify")
        : exit;
    }
    switch (verb) {
      case "list":
        exactly(rest);
        return await list(call);
      case "status":
        return await status(rest, call);
      case "watch":
        if (rest.length > 1) throw new UsageError("Name one volume at most");
        return await watch(rest[0], call, "for ever");
      case "resolve":
        return await resolveSplit(exactly(rest, "NAME")[0] ?? "", call);
      case "set": {
        const [name = "", ...options] = rest;
        exactly(name === "" ? [] : [name], "NAME");
        return await set(name, options, call);
      }
      case "undo": {
        const { undo } = await import("./volume/undo.ts");
        return await undo(rest, { ...call, runDir });
      }
      default:
        return await byConfiguration(verb, rest, call);
    }
  },
};

/** Without options: show what there is. */
async function set(
  name: string,
  options: readonly string[],
  call: VolumeCall,
): Promise<number> {
  const { setOptions, showOptions } = await import("./volume/set.ts");
  if (options.length === 0) {
    return await named(() => {
      showOptions(name, call);
      return Promise.resolve(EXIT.ok);
    });
  }
  const { changeOf } = await import("./volume/set_words.ts");
  const changes = options.map(changeOf);
  let report: SetReport | undefined;
  return await configured(name, call, async (inner) => {
    const isRunning = await runs(call.client, name);
    const end = await setOptions(name, changes, { ...inner, isRunning });
    report = end.report;
    return end.exit;
  }, () => ({ ...report }));
}

async function byConfiguration(
  verb: string,
  rest: readonly string[],
  call: VolumeCall,
): Promise<number> {
  const { adjustVolume, createVolume, downVolume, initVolume, upVolume } =
    await import("./volume/create.ts");
  const actions = {
    create: createVolume,
    init: initVolume,
    up: upVolume,
    adjust: adjustVolume,
    down: downVolume,
  };
  const isKnown = (word: string): word is keyof typeof actions =>
    Object.hasOwn(actions, word);
  if (!isKnown(verb)) {
    throw new UsageError(`There is no "${verb}"; see kedge volume --help`);
  }
  const [name = ""] = exactly(rest, "NAME");
  return await configured(name, call, (inner) => actions[verb](name, inner));
}

/** Do something by the configuration; say how the volume is then. */
async function configured(
  name: string,
  call: VolumeCall,
  act: (call: VolumeCall) => Promise<number>,
  more?: () => Readonly<Record<string, unknown>>,
): Promise<number> {
  const { values } = call;
  const out = values.json
    ? { ...call.context, out: call.context.err }
    : call.context;
  const exit = await named(() => act({ ...call, context: out }));
  if (exit !== EXIT.ok) return exit;
  const { out: told } = call.context;
  const isUp = await runs(call.client, splitName(name).name);
  const resource = isUp
    ? await findResource(call.client, splitName(name).name)
    : undefined;
  if (values.json) {
    const now = resource ?? { down: name };
    const all = more === undefined
      ? now
      : { ...more(), resource: resource ?? null };
    told.line(JSON.stringify(all));
  } else if (resource === undefined) told.line(`${name} is down`);
  else told.line(statusLines(resource).join("\n").trimEnd());
  return exit;
}

/** A name that the configuration does not have is an error with a way out. */
async function named(act: () => Promise<number>): Promise<number> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof ParseError) {
      throw new CliError(error.message, "correct that line, then again");
    }
    if (!(error instanceof NotDefinedError)) throw error;
    throw new CliError(
      error.message,
      '"drbdadm sh-resources" names those that are; --host NAME is another host',
      EXIT.notFound,
    );
  }
}

/** Whether it runs here. */
async function runs(client: MirrorClient, name: string): Promise<boolean> {
  if (!await client.isRunning()) return false;
  const { resources } = await client.status();
  return resources.some(({ resource }) => resource === name);
}
