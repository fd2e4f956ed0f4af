/** Every command of `kedge`, by name. Modules are loaded when they are used. */

import type { Command, CommandEntry } from "./command.ts";

/** All commands, in the order of the overview. */
export const COMMANDS: readonly CommandEntry[] = [
  entry(
    "run",
    "start",
    "run a tracker and a replicated group on this machine",
    async () => (await import("./start.ts")).start,
  ),
  entry(
    "run",
    "tracker",
    "run a tracker",
    async () => (await import("./tracker.ts")).tracker,
  ),
  entry(
    "run",
    "agent",
    "run a node agent, or rebuild its index",
    async () => (await import("./agent.ts")).agent,
  ),
  entry(
    "run",
    "mirror",
    "run the daemon of the mirrored volumes of this host",
    async () => (await import("./mirror.ts")).mirror,
  ),
  entry(
    "files",
    "upload",
    "store files and print their IDs",
    async () => (await import("./upload.ts")).upload,
  ),
  entry(
    "files",
    "download",
    "read files back; goes on where a broken download stopped",
    async () => (await import("./download.ts")).download,
  ),
  entry(
    "files",
    "info",
    "show what is known of a file",
    async () => (await import("./info.ts")).info,
  ),
  entry(
    "files",
    "delete",
    "delete files",
    async () => (await import("./delete.ts")).deleteFiles,
  ),
  entry(
    "files",
    "append",
    "append to a file that was uploaded with --appender",
    async () => (await import("./append.ts")).append,
  ),
  entry(
    "files",
    "modify",
    "overwrite a part of an appender file",
    async () => (await import("./modify.ts")).modify,
  ),
  entry(
    "files",
    "truncate",
    "cut or extend an appender file",
    async () => (await import("./truncate.ts")).truncate,
  ),
  entry(
    "files",
    "regenerate",
    "give an appender file the ID of one that stays as it is",
    async () => (await import("./regenerate.ts")).regenerate,
  ),
  entry(
    "files",
    "derive",
    "store a file beside its master: a thumbnail, say",
    async () => (await import("./derive.ts")).derive,
  ),
  entry(
    "files",
    "meta",
    "read, overwrite or merge the metadata of a file",
    async () => (await import("./meta.ts")).meta,
  ),
  entry(
    "files",
    "list",
    "list files, for operators",
    async () => (await import("./list.ts")).list,
  ),
  entry(
    "files",
    "link",
    "make links to files that need one",
    async () => (await import("./link.ts")).link,
  ),
  entry(
    "volumes",
    "volume",
    "create, promote, watch and repair mirrored volumes",
    async () => (await import("./volume.ts")).volume,
  ),
  entry(
    "volumes",
    "drbdadm",
    "DRBD's command for mirrored volumes, as 8.4 has it",
    async () => (await import("./drbdadm.ts")).drbdadm,
  ),
  entry(
    "volumes",
    "drbd-overview",
    "one line per volume, with what is mounted on it",
    async () => (await import("./drbd_overview.ts")).drbdOverview,
  ),
  entry(
    "volumes",
    "proc-drbd",
    "the text of /proc/drbd",
    async () => (await import("./proc_drbd.ts")).procDrbd,
  ),
  entry(
    "cluster",
    "status",
    "who is alive, in sync, behind, full: one screen",
    async () => (await import("./status.ts")).status,
  ),
  entry(
    "cluster",
    "monitor",
    "the status, live",
    async () => (await import("./monitor.ts")).monitor,
  ),
  entry(
    "cluster",
    "nodes",
    "list the nodes",
    async () => (await import("./nodes.ts")).nodes,
  ),
  entry(
    "cluster",
    "groups",
    "list the groups",
    async () => (await import("./nodes.ts")).groups,
  ),
  entry(
    "cluster",
    "group",
    "create a group, set its level, force a node in sync",
    async () => (await import("./group.ts")).group,
  ),
  entry(
    "cluster",
    "node",
    "remove a node, make it read-only, accept a restored KV",
    async () => (await import("./drain.ts")).node,
  ),
  entry(
    "cluster",
    "drain",
    "give a node no more uploads",
    async () => (await import("./drain.ts")).drain,
  ),
  entry(
    "cluster",
    "undrain",
    "give a node uploads again",
    async () => (await import("./drain.ts")).undrain,
  ),
  entry(
    "cluster",
    "scrub",
    "read every stored byte again, and repair bad copies",
    async () => (await import("./scrub.ts")).scrub,
  ),
  entry(
    "cluster",
    "token",
    "make, list and revoke join tokens and API keys",
    async () => (await import("./token.ts")).token,
  ),
  entry(
    "cluster",
    "keys",
    "rotate the keys that sign capabilities",
    async () => (await import("./token.ts")).keys,
  ),
  entry(
    "tools",
    "import",
    "take in the files of a FastDFS storage, with their IDs",
    async () => (await import("./import.ts")).importFiles,
  ),
  entry(
    "tools",
    "export",
    "write all files as a FastDFS storage has them",
    async () => (await import("./export.ts")).exportFiles,
  ),
  entry(
    "tools",
    "config",
    "turn FastDFS's configuration files into Kedge's",
    async () => (await import("./config.ts")).config,
  ),
  entry(
    "tools",
    "nginx-config",
    "print the configuration of an nginx for downloads",
    async () => (await import("./nginx_config.ts")).nginxConfig,
  ),
  entry(
    "tools",
    "doctor",
    "try everything once: upload, read everywhere, change, delete",
    async () => (await import("./doctor.ts")).doctor,
  ),
  entry(
    "tools",
    "crc32",
    "the CRC-32 of local files, as file IDs carry it",
    async () => (await import("./crc32.ts")).crc32Files,
  ),
  entry(
    "tools",
    "bench",
    "measure uploads and downloads",
    async () => (await import("./bench.ts")).bench,
  ),
  entry(
    "tools",
    "completion",
    "print a completion script for bash, zsh or fish",
    async () => (await import("./completion.ts")).completion,
  ),
  entry(
    "tools",
    "version",
    "show the version",
    async () => (await import("./version.ts")).version,
  ),
];

function entry(
  section: CommandEntry["section"],
  name: string,
  summary: string,
  load: () => Promise<Command>,
): CommandEntry {
  return { section, name, summary, load };
}
